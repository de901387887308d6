// The progress of leases in PostgreSQL, on one open transaction: a host writes its own, its renter reads
// it.
#pragma once

#include <vector>

#include "accounts/progress.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

/// In the place of what was told before.
void put_progress(Transaction& tx, const accounts::LeaseProgress& progress);
/// Of those that have any, in no order.
[[nodiscard]] std::vector<accounts::LeaseProgress> read_progress(Transaction& tx,
                                                                 const std::vector<LeaseId>& leases);

}  // namespace fallow::store
