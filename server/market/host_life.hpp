// How a host leaves the market for a while, or for good: maintenance that is announced, drain, retirement.
#pragma once

#include <optional>

#include "market/transaction.hpp"

namespace fallow::market {

/// Whether a lease of this term, made at `now`, is over before its host's maintenance, or the maintenance
/// before it.
[[nodiscard]] bool is_beside_maintenance(const Host& host, Millis term, Time now);
/// The longest term of a lease made at `now`; nothing where no maintenance is to come, or it is under way.
[[nodiscard]] std::optional<Millis> longest_before_maintenance(const Host& host, Time now);

/// A draining host may have become empty: that is noted, and one that is retiring is retired. One that is
/// out of reach is not waited for once its leases have ended.
void settle_draining(Transaction& tx, HostId id);

/// Its maintenance is over.
void on_host_due(Transaction& tx, HostId id);

}  // namespace fallow::market
