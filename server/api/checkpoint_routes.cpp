// Checkpoints: a host saves and restores those of the job that it runs, a renter lists and fetches its own.
// Of a host's transaction only the leases are in sight that it still holds; beyond that, what it saves
// counts only while its lease is the job's current one and has not ended.
#include <charconv>

#include "accounts/artifacts.hpp"
#include "api/checkpoint_decode.hpp"
#include "api/checkpoint_json.hpp"
#include "api/job_decode.hpp"
#include "api/queries.hpp"
#include "api/reply.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "auth/sha256.hpp"
#include "store/checkpoints.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

struct SavingLease {
    market::Lease lease;
    JobId job;
    CheckpointSpec spec;
};

Error superseded() {
    return refuse(ErrorCode::stale_epoch,
                  "The job has gone on to another lease; what this one saves counts no more.");
}

/// The lease of the path, with its job's word on checkpoints.
Result<SavingLease> saving_lease(JobCall& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    if (lease->state == market::LeaseState::ended || lease->released || !lease->job)
        return refuse(ErrorCode::wrong_state, "The lease has ended, or has no job.");
    // Of a job that runs elsewhere by now a host sees nothing.
    const auto job = find_row<market::Job>(call.tx, *lease->job);
    if (!job || job->lease != lease->id) return superseded();
    const auto row = find_row<market::JobSpec>(call.tx, *lease->job, "job_id");
    if (!row) return row.error();
    const auto spec = decode_job_spec(row->document);
    if (!spec) return spec.error();
    if (!spec->checkpoint)
        return refuse(ErrorCode::wrong_state,
                      "The job names no checkpoint folder; nothing of it is saved.");
    const JobId job_id = *lease->job;
    return SavingLease{std::move(*lease), job_id, *spec->checkpoint};
}

Result<SavingLease> saving_lease(JobCall& call, std::int64_t epoch) {
    auto found = saving_lease(call);
    if (found && found->lease.epoch != epoch)
        return refuse(ErrorCode::stale_epoch,
                      "The lease has epoch " + std::to_string(found->lease.epoch) + ", not " +
                          std::to_string(epoch) + ".",
                      "/lease_epoch");
    return found;
}

Result<std::string> chunk_name(const JobCall& call) {
    const std::string& name = call.parameter("chunk");
    if (!accounts::check_sha256(name))
        return refuse(ErrorCode::not_found,
                      "A chunk is named by its SHA-256: 64 lower-case hexadecimal digits.");
    return name;
}

http::Reply octets_reply(std::string octets) {
    http::Reply reply = json_reply(std::move(octets));
    reply.content_type = "application/octet-stream";
    return reply;
}

// --- of agents

Result<http::Reply> get_newest(JobCall& call) {
    const auto found = saving_lease(call);
    if (!found) return found.error();
    JsonWriter json;
    json.begin_object().key("checkpoint");
    if (const auto newest = store::CheckpointStore(call.tx, call.author()).newest(found->job))
        write(json, *newest);
    else
        json.null();
    json.end_object();
    return json_reply(json.take());
}

Result<http::Reply> begin_checkpoint(JobCall& call) {
    const auto question = decode_chunk_question(call.request().body);
    if (!question) return question.error();
    const auto found = saving_lease(call, question->lease_epoch);
    if (!found) return found.error();
    const auto missing = store::CheckpointStore(call.tx, call.author())
                             .begin(found->lease.renter, found->job, question->chunks);
    JsonWriter json;
    json.begin_object().field("missing", missing).end_object();
    return json_reply(json.take());
}

Result<http::Reply> put_chunk(JobCall& call) {
    const auto name = chunk_name(call);
    if (!name) return name.error();
    const std::string& octets = call.request().body;
    if (octets.empty() || auth::sha256_hex(octets) != *name)
        return refuse(ErrorCode::hash_mismatch, "The octets do not have the SHA-256 in the path.");
    const auto found = saving_lease(call);
    if (!found) return found.error();
    const Status kept =
        store::CheckpointStore(call.tx, call.author())
            .put_chunk(found->lease.renter, found->job, *name, octets, found->spec.bytes_max);
    if (!kept) return kept.error();
    return no_content();
}

Result<http::Reply> get_chunk(JobCall& call) {
    const auto name = chunk_name(call);
    if (!name) return name.error();
    const auto found = saving_lease(call);
    if (!found) return found.error();
    auto octets = store::CheckpointStore(call.tx, call.author()).read_chunk(found->job, *name);
    if (!octets) return octets.error();
    return octets_reply(std::move(*octets));
}

Result<http::Reply> commit_checkpoint(JobCall& call) {
    const auto wanted = decode_checkpoint(call.request().body);
    if (!wanted) return wanted.error();
    const auto found = saving_lease(call, wanted->lease_epoch);
    if (!found) return found.error();
    if (const Status good = accounts::check_entries(wanted->entries, found->spec.bytes_max); !good)
        return good.error();
    accounts::Checkpoint checkpoint;
    checkpoint.job = found->job;
    checkpoint.organization = found->lease.renter;
    checkpoint.attempt = found->lease.attempt;
    checkpoint.lease = found->lease.id;
    checkpoint.lease_epoch = wanted->lease_epoch;
    checkpoint.bytes = accounts::bytes_of(wanted->entries);
    checkpoint.entries = static_cast<std::int32_t>(wanted->entries.size());
    checkpoint.created_at = call.services.now();
    const auto made = store::CheckpointStore(call.tx, call.author())
                          .commit(checkpoint, wanted->entries, entries_json(wanted->entries));
    if (!made) return made.error();
    JsonWriter json;
    write(json, *made);
    return json_reply(json.take(), 201);
}

Result<http::Reply> note_problem(JobCall& call) {
    const auto said = decode_save_problem(call.request().body);
    if (!said) return said.error();
    const auto found = saving_lease(call, said->lease_epoch);
    if (!found) return found.error();
    store::CheckpointStore(call.tx, call.author())
        .note_problem(found->lease.renter, found->job, said->problem);
    return no_content();
}

// --- of the renter

Result<JobId> own_job(JobCall& call) {
    const auto id = call.id<JobId>("job");
    if (!id) return id;
    if (const auto job = find_row<market::Job>(call.tx, *id); !job) return job.error();
    return id;
}

Result<std::int32_t> checkpoint_number(const JobCall& call) {
    const std::string& text = call.parameter("number");
    std::int32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 1)
        return refuse(ErrorCode::not_found, "There is no such checkpoint; they are numbered from 1.");
    return number;
}

Result<http::Reply> list_checkpoints(JobCall& call) {
    const auto job = own_job(call);
    if (!job) return job.error();
    store::CheckpointStore checkpoints(call.tx, call.author());
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const accounts::Checkpoint& checkpoint : checkpoints.list(*job))
        write(json, checkpoint);
    json.end_array().key("problem");
    if (const auto problem = checkpoints.problem(*job))
        json.begin_object().field("text", problem->text).field("at", problem->at).end_object();
    else
        json.null();
    json.key("next_cursor").null().end_object();
    return json_reply(json.take());
}

Result<http::Reply> get_checkpoint(JobCall& call) {
    const auto job = own_job(call);
    if (!job) return job.error();
    const auto number = checkpoint_number(call);
    if (!number) return number.error();
    const auto found = store::CheckpointStore(call.tx, call.author()).find(*job, *number);
    if (!found) return found.error();
    JsonWriter json;
    write(json, *found);
    return json_reply(json.take());
}

Result<http::Reply> get_own_chunk(JobCall& call) {
    const auto job = own_job(call);
    if (!job) return job.error();
    const auto name = chunk_name(call);
    if (!name) return name.error();
    auto octets = store::CheckpointStore(call.tx, call.author()).read_chunk(*job, *name);
    if (!octets) return octets.error();
    return octets_reply(std::move(*octets));
}

}  // namespace

void add_checkpoint_routes(std::vector<Route>& routes) {
    const auto agent = Access::agent();
    const auto reads = reads_as_renter();
    const std::string of_lease = "/v1/agent/leases/{lease}/checkpoint";
    routes.push_back({get, of_lease, agent, no_body, not_keyed, JobHandler{get_newest}});
    routes.push_back({post, of_lease, agent, large_json, not_keyed, JobHandler{commit_checkpoint}});
    routes.push_back(
        {post, of_lease + "/begin", agent, large_json, not_keyed, JobHandler{begin_checkpoint}});
    routes.push_back({post, of_lease + "/problem", agent, small_json, not_keyed, JobHandler{note_problem}});
    routes.push_back(
        {put, of_lease + "/chunks/{chunk}", agent, part_octets, not_keyed, JobHandler{put_chunk}});
    routes.push_back({get, of_lease + "/chunks/{chunk}", agent, no_body, not_keyed, JobHandler{get_chunk}});
    routes.push_back(
        {get, "/v1/jobs/{job}/checkpoints", reads, no_body, not_keyed, JobHandler{list_checkpoints}});
    routes.push_back({get, "/v1/jobs/{job}/checkpoints/{number}", reads, no_body, not_keyed,
                      JobHandler{get_checkpoint}});
    routes.push_back({get, "/v1/jobs/{job}/checkpoint-chunks/{chunk}", reads, no_body, not_keyed,
                      JobHandler{get_own_chunk}});
}

}  // namespace fallow::api
