// The desired state of one host: which leases it should have and what it should do with each. Agents
// reconcile towards it, so a lost answer costs a delay and nothing else.
#pragma once

#include "api/gang_members.hpp"
#include "api/json_writer.hpp"
#include "api/route.hpp"
#include "market/card.hpp"
#include "market/lease.hpp"
#include "ops/config.hpp"

namespace fallow::api {

/// GET /v1/agent/desired: at once when `version` is not the current one, else at the next change or after
/// wait_ms.
void desired(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done);

struct DesiredLease {
    market::Lease lease;
    std::vector<market::Card> cards;
    std::optional<std::string> spec;  ///< the job's document, while it is this host's to run
    std::optional<Millis> max_duration;
    std::vector<GangMember> gang = {};  ///< of its order, as far as they were told
};

/// One item of the reply, as it is at `now`.
void write(JsonWriter& json, const DesiredLease& desired, const ops::Config& config, Time now);

}  // namespace fallow::api
