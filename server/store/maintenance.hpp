// What the database needs done on a timer: partitions made ahead and dropped whole, and rows past their
// retention.
#pragma once

#include "base/time.hpp"
#include "store/connection.hpp"

namespace fallow::store {

/// Makes the partitions of the days and sequence numbers ahead, drops those past their retention; by the
/// database's clock. A new leader calls it, and main every hour. The connection acts as fallow_engine, or
/// may.
void maintain(Connection& connection);

/// Removes files, outputs, logs, tokens and certificates past their retention, at most `rows_max` of each;
/// says how many rows are gone, so that a caller goes on while there is more.
[[nodiscard]] std::int64_t expire(Connection& connection, Time now, std::int32_t rows_max);

}  // namespace fallow::store
