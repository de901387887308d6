#include "store/maintenance.hpp"

#include "store/row_reader.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

void maintain(Connection& connection) {
    run_as(connection, Actor::engine(), [](Transaction& tx) {
        tx.exec("SELECT fallow_maintain((extract(epoch FROM clock_timestamp()) * 1000)::bigint)");
    });
}

std::int64_t expire(Connection& connection, Time now, std::int32_t rows_max) {
    return run_as(connection, Actor::engine(), [&](Transaction& tx) {
        return read_cell<std::int64_t>(
            tx.query("SELECT fallow_expire($1, $2) + checkpoints_expire($1, $2) + outputs_expire($1, $2) +"
                     " telemetry_expire($1, $2) + progress_expire($2)",
                     now, rows_max)[0][0]);
    });
}

}  // namespace fallow::store
