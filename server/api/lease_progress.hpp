// What a host tells of its progress, and when a job shows it.
#pragma once

#include <string_view>

#include "accounts/progress.hpp"
#include "api/json_writer.hpp"
#include "base/result.hpp"
#include "market/job.hpp"

namespace fallow::api {

/// Without what the server knows by itself: lease, organization, time.
[[nodiscard]] Result<accounts::LeaseProgress> decode_progress(std::string_view body);

/// Whether that is what the job waits for now: what comes before the start only until it runs, and outputs
/// only until all of them are there.
[[nodiscard]] bool is_of_now(const accounts::LeaseProgress& progress, const market::Job& job);

void write(JsonWriter& json, const accounts::LeaseProgress& progress);

}  // namespace fallow::api
