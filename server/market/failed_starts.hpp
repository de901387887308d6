// Starts that nobody pays for: an image that cannot be had, a container that does not start, or one that
// its renter gives up before it runs. They cost a host its time and its line, so a renter has so many of
// them in a window; after that its jobs wait, and new ones are refused, until the window is over.
#pragma once

#include "base/result.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// Of a lease that has ended: its host had begun to prepare it, and it never ran.
[[nodiscard]] bool is_unpaid_start(const Lease& ended);

/// Counts it against its renter. Who rents from itself harms nobody.
void note_unpaid_start(Transaction& tx, const Lease& ended);

/// rate_limited when the renter has used up its window.
[[nodiscard]] Status check_may_start(const State& state, OrganizationId renter, Time now);

}  // namespace fallow::market
