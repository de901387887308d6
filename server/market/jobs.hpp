// Jobs and their orders: what a lease's end means for the work it carried.
#pragma once

#include "market/transaction.hpp"

namespace fallow::market {

/// The state that a job's attempt leaves it in. `completed` succeeds; a failure of the command itself fails
/// and is not repeated, unless the job has called it temporary; every end that was not the job's own doing
/// requeues while attempts are left.
void settle_job(Transaction& tx, JobId id, EndReason reason, std::optional<std::int32_t> exit_code);

/// The jobs of an order, one for each of its hosts, by rank; none when it came without.
[[nodiscard]] std::vector<JobId> jobs_of(const State& state, const Order& order);

/// Whether an end is a loss that the retry policy covers.
[[nodiscard]] bool is_retried(EndReason reason);

/// A standing order whose time is up; its queued job fails.
void expire_order(Transaction& tx, OrderId id);

}  // namespace fallow::market
