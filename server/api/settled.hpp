// The engine forgets what is settled: a final order, job or lease is in the database alone. A command for
// one is answered here, by its state, and not as if it had never been.
#pragma once

#include "api/route.hpp"

namespace fallow::api {

// Each is a CommandHandler::prepare: not_found when the caller cannot see the object, wrong_state when it
// is settled.
[[nodiscard]] Result<std::string> require_standing_order(JobCall& call, market::Command& command);
/// For a bid: its order stands, or was filled by a lease that has not ended.
[[nodiscard]] Result<std::string> require_live_bid(JobCall& call, market::Command& command);
[[nodiscard]] Result<std::string> require_booked_reservation(JobCall& call, market::Command& command);
[[nodiscard]] Result<std::string> require_live_lease(JobCall& call, market::Command& command);
/// For a job that is brought to a lease: yields the job's document.
[[nodiscard]] Result<std::string> require_live_lease_for_job(JobCall& call, market::Command& command);
[[nodiscard]] Result<std::string> require_offered_listing(JobCall& call, market::Command& command);
/// Also yields the job's document, which the reply shows and the engine does not hold.
[[nodiscard]] Result<std::string> require_live_job(JobCall& call, market::Command& command);

}  // namespace fallow::api
