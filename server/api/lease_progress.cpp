#include "api/lease_progress.hpp"

#include "api/field_decode.hpp"

namespace fallow::api {

using accounts::LeaseProgress;
using accounts::ProgressStep;

Result<LeaseProgress> decode_progress(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        LeaseProgress progress;
        progress.step = reader.named<ProgressStep>("step");
        progress.done_bytes = reader.integer("done_bytes", 0, accounts::progress_bytes_max);
        progress.total_bytes = reader.optional_integer("total_bytes", 0, accounts::progress_bytes_max);
        if (progress.total_bytes && progress.done_bytes > *progress.total_bytes)
            reader.fail(ErrorCode::invalid_field, "done_bytes",
                        "Not more can be done than there is; leave total_bytes out while it is not known.");
        return progress;
    });
}

bool is_of_now(const LeaseProgress& progress, const market::Job& job) {
    if (job.lease != progress.lease) return false;
    if (progress.step == ProgressStep::uploading_outputs)
        return job.state == market::JobState::running && progress.done_bytes != progress.total_bytes;
    return job.state == market::JobState::assigned;
}

void write(JsonWriter& json, const LeaseProgress& progress) {
    json.begin_object()
        .field("step", progress.step)
        .field("done_bytes", progress.done_bytes)
        .field("total_bytes", progress.total_bytes)
        .field("at", progress.at)
        .end_object();
}

}  // namespace fallow::api
