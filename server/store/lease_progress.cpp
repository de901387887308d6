#include "store/lease_progress.hpp"

#include "store/row_reader.hpp"

namespace fallow::store {

using accounts::LeaseProgress;

void put_progress(Transaction& tx, const LeaseProgress& progress) {
    tx.prepared("put_lease_progress",
                "INSERT INTO lease_progress (lease_id, organization_id, step, done_bytes, total_bytes, at)"
                " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (lease_id) DO UPDATE SET"
                " step = excluded.step, done_bytes = excluded.done_bytes,"
                " total_bytes = excluded.total_bytes, at = excluded.at",
                Parameters{parameter_of(progress.lease), parameter_of(progress.renter),
                           parameter_of(progress.step), parameter_of(progress.done_bytes),
                           parameter_of(progress.total_bytes), parameter_of(progress.at)});
}

std::vector<LeaseProgress> read_progress(Transaction& tx, const std::vector<LeaseId>& leases) {
    return read_all<LeaseProgress>(tx.query(
        "SELECT " + select_list<LeaseProgress>() + " FROM lease_progress WHERE lease_id = ANY ($1::uuid[])",
        leases));
}

}  // namespace fallow::store
