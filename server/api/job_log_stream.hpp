// Following a job's log as server-sent events: `event: log` for each entry, `event: end` when the job is
// final and all of its log was sent.
#pragma once

#include "api/route.hpp"
#include "market/job.hpp"

namespace fallow::api {

/// Starts after entry `after` of `attempt`; goes on to later attempts unless the request asked for one.
[[nodiscard]] Result<http::Reply> follow_job_log(const Call& call, const market::Job& job,
                                                 std::int32_t attempt, std::int64_t after);

}  // namespace fallow::api
