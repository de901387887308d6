// Outputs as a job's host saves them: which chunks are missing, the chunks, and then all files at once. The
// transaction is the host's own, and beyond that it counts only while the lease is its job's current one.
#include <algorithm>

#include "accounts/artifacts.hpp"
#include "accounts/saved_outputs.hpp"
#include "api/job_decode.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "auth/sha256.hpp"
#include "store/saved_outputs.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

/// An upload comes once an interval, so that what it replaces was here for one; and how long a host can be
/// silent before its lease ends.
constexpr Millis silence_max = minutes(20);

struct NewUpload {
    std::int64_t lease_epoch = 0;
    std::int64_t sequence = 0;
    std::vector<accounts::OutputFile> files;
};

struct SavingJob {
    market::Lease lease;
    JobSpec spec;
};

accounts::OutputFile read_file(FieldReader& item) {
    accounts::OutputFile file;
    file.path = item.text("path", {.bytes_max = limits::text_field_bytes_max});
    file.bytes = item.integer("bytes", 0, limits::artifact_bytes_max);
    file.sha256 = item.text("sha256", {.bytes_max = 64});
    file.chunks =
        item.texts("chunks", static_cast<std::size_t>(accounts::part_count(limits::artifact_bytes_max)),
                   {.bytes_max = 64});
    return file;
}

Result<NewUpload> decode_upload(std::string_view body, bool has_sequence) {
    return decode_body(body, [&](FieldReader& reader) {
        NewUpload upload;
        upload.lease_epoch = reader.integer("lease_epoch", 1, INT64_MAX);
        if (has_sequence) upload.sequence = reader.integer("sequence", 1, INT64_MAX);
        for (FieldReader& item : reader.objects("files", limits::outputs_per_job_max, true)) {
            upload.files.push_back(read_file(item));
            if (!item.finish()) break;
        }
        return upload;
    });
}

Result<SavingJob> saving_job(JobCall& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    if (lease->released || !lease->job || !lease->running_at)
        return refuse(ErrorCode::wrong_state, "The lease has no job on this host that has run.");
    const auto job = find_row<market::Job>(call.tx, *lease->job);
    if (!job || job->lease != lease->id)
        return refuse(ErrorCode::stale_epoch,
                      "The job has gone on to another lease; what this one saves counts no more.");
    const auto row = find_row<market::JobSpec>(call.tx, *lease->job, "job_id");
    if (!row) return row.error();
    auto spec = decode_job_spec(row->document);
    if (!spec) return spec.error();
    return SavingJob{std::move(*lease), std::move(*spec)};
}

Result<accounts::OutputUpload> upload_of(JobCall& call, bool has_sequence) {
    auto wanted = decode_upload(call.request().body, has_sequence);
    if (!wanted) return wanted.error();
    const auto found = saving_job(call);
    if (!found) return found.error();
    const market::Lease& lease = found->lease;
    if (lease.epoch != wanted->lease_epoch)
        return refuse(ErrorCode::stale_epoch,
                      "The lease has epoch " + std::to_string(lease.epoch) + ", not " +
                          std::to_string(wanted->lease_epoch) + ".",
                      "/lease_epoch");
    if (const Status good = accounts::check_output_files(wanted->files, found->spec.outputs); !good)
        return good.error();
    accounts::OutputUpload upload;
    upload.organization = lease.renter;
    upload.job = *lease.job;
    upload.attempt = lease.attempt;
    upload.lease = lease.id;
    upload.sequence = wanted->sequence;
    upload.keep_until = call.services.now() + Millis(limits::artifact_retention_ms) + silence_max +
                        found->spec.output_interval.value_or(Millis());
    upload.files = std::move(wanted->files);
    return upload;
}

Result<http::Reply> begin_upload(JobCall& call) {
    const auto upload = upload_of(call, false);
    if (!upload) return upload.error();
    const auto missing = store::SavedOutputStore(call.tx, call.author()).begin(*upload);
    JsonWriter json;
    json.begin_object().field("missing", missing).end_object();
    return json_reply(json.take());
}

Result<http::Reply> put_chunk(JobCall& call) {
    const std::string& name = call.parameter("chunk");
    if (!accounts::check_sha256(name))
        return refuse(ErrorCode::not_found,
                      "A chunk is named by its SHA-256: 64 lower-case hexadecimal digits.");
    const std::string& octets = call.request().body;
    if (octets.empty() || auth::sha256_hex(octets) != name)
        return refuse(ErrorCode::hash_mismatch, "The octets do not have the SHA-256 in the path.");
    const auto found = saving_job(call);
    if (!found) return found.error();
    const Status kept = store::SavedOutputStore(call.tx, call.author())
                            .put_chunk(found->lease.renter, *found->lease.job, name, octets);
    if (!kept) return kept.error();
    return no_content();
}

Result<http::Reply> commit_upload(JobCall& call) {
    const auto upload = upload_of(call, true);
    if (!upload) return upload.error();
    const Status done = store::SavedOutputStore(call.tx, call.author()).commit(*upload, [&] {
        return ArtifactId(call.services.random());
    });
    if (!done) return done.error();
    return no_content();
}

}  // namespace

void add_saved_output_routes(std::vector<Route>& routes) {
    const auto agent = Access::agent();
    routes.push_back({post, "/v1/agent/leases/{lease}/output-upload/begin", agent, large_json, not_keyed,
                      JobHandler{begin_upload}});
    routes.push_back({put, "/v1/agent/leases/{lease}/output-upload/chunks/{chunk}", agent, part_octets,
                      not_keyed, JobHandler{put_chunk}});
    routes.push_back({post, "/v1/agent/leases/{lease}/output-upload", agent, large_json, not_keyed,
                      JobHandler{commit_upload}});
}

}  // namespace fallow::api
