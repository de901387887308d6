// What goes in and out of a job on its host: inputs, outputs, logs. The transaction is the host's own, so
// only leases that it still holds are in sight.
#include <algorithm>

#include "api/accounts_decode.hpp"
#include "api/accounts_json.hpp"
#include "api/agent_decode.hpp"
#include "api/artifacts.hpp"
#include "api/job_decode.hpp"
#include "api/market_json.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "store/artifacts.hpp"
#include "store/job_logs.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

struct LeasedJob {
    market::Lease lease;
    JobId job;
};

Result<LeasedJob> leased_job(JobCall& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    if (lease->released || !lease->job)
        return refuse(ErrorCode::wrong_state, "The lease has no job on this host any more.");
    const JobId job = *lease->job;
    return LeasedJob{std::move(*lease), job};
}

Result<JobSpec> spec_of(JobCall& call, JobId job) {
    const auto row = find_row<market::JobSpec>(call.tx, job, "job_id");
    if (!row) return row.error();
    return decode_job_spec(row->document);
}

Result<http::Reply> append_logs(JobCall& call) {
    const auto chunk = decode_logs(call.request().body);
    if (!chunk) return chunk.error();
    const auto found = leased_job(call);
    if (!found) return found.error();
    const std::int64_t next = store::LogStore(call.tx, call.author())
                                  .append(found->lease.renter, found->job, found->lease.attempt,
                                          chunk->first_sequence, chunk->entries);
    call.publish.push_back("job/" + found->job.text());
    JsonWriter json;
    json.begin_object().field("next_sequence", next).end_object();
    return json_reply(json.take());
}

Result<http::Reply> list_inputs(JobCall& call) {
    const auto found = leased_job(call);
    if (!found) return found.error();
    const auto spec = spec_of(call, found->job);
    if (!spec) return spec.error();
    store::ArtifactStore artifacts(call.tx, call.author());
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const JobInput& input : spec->inputs) {
        const auto artifact = artifacts.find(input.artifact);
        if (!artifact) return artifact.error();
        json.begin_object().field("path", input.path).key("artifact");
        write(json, *artifact);
        json.end_object();
    }
    json.end_array().end_object();
    return json_reply(json.take());
}

/// Of the renter's artifacts a host may read those that the job names, and no others.
Result<http::Reply> get_input_part(JobCall& call) {
    const auto id = call.id<ArtifactId>("artifact");
    if (!id) return id.error();
    const auto found = leased_job(call);
    if (!found) return found.error();
    const auto spec = spec_of(call, found->job);
    if (!spec) return spec.error();
    const bool is_input =
        std::ranges::any_of(spec->inputs, [&](const JobInput& input) { return input.artifact == *id; });
    if (!is_input) return refuse(ErrorCode::not_found, "The job has no such input.");
    return get_part(call, *id);
}

Result<http::Reply> create_output(JobCall& call) {
    const auto wanted = decode_output(call.request().body);
    if (!wanted) return wanted.error();
    const auto found = leased_job(call);
    if (!found) return found.error();
    const auto spec = spec_of(call, found->job);
    if (!spec) return spec.error();
    if (std::ranges::find(spec->outputs, wanted->name) == spec->outputs.end())
        return refuse(ErrorCode::invalid_field, "The job declares no output of this path.", "/path");
    const auto artifact =
        accounts::new_artifact(ArtifactId(call.services.random()), found->lease.renter, wanted->name,
                               wanted->bytes, wanted->sha256, call.services.now());
    const auto made =
        store::ArtifactStore(call.tx, call.author())
            .create_output({found->job, found->lease.attempt, found->lease.id, wanted->name, artifact.id},
                           artifact);
    if (!made) return made.error();
    return json_reply(to_json(*made), 201);
}

Result<ArtifactId> own_output(JobCall& call) {
    const auto id = call.id<ArtifactId>("artifact");
    if (!id) return id;
    const auto found = leased_job(call);
    if (!found) return found.error();
    const Status own =
        store::ArtifactStore(call.tx, call.author()).require_output(found->job, found->lease.attempt, *id);
    if (!own) return own.error();
    return id;
}

Result<http::Reply> put_output_part(JobCall& call) {
    const auto id = own_output(call);
    if (!id) return id.error();
    return put_part(call, *id);
}

Result<http::Reply> complete_output(JobCall& call) {
    const auto id = own_output(call);
    if (!id) return id.error();
    return complete_artifact(call, *id);
}

}  // namespace

void add_agent_file_routes(std::vector<Route>& routes) {
    const auto agent = Access::agent();
    routes.push_back(
        {post, "/v1/agent/leases/{lease}/logs", agent, large_json, not_keyed, JobHandler{append_logs}});
    routes.push_back(
        {get, "/v1/agent/leases/{lease}/inputs", agent, no_body, not_keyed, JobHandler{list_inputs}});
    routes.push_back({get, "/v1/agent/leases/{lease}/inputs/{artifact}/parts/{part}", agent, no_body,
                      not_keyed, JobHandler{get_input_part}});
    routes.push_back({post, "/v1/agent/leases/{lease}/outputs", agent, small_json, not_keyed,
                      JobHandler{create_output}});
    routes.push_back({put, "/v1/agent/leases/{lease}/outputs/{artifact}/parts/{part}", agent, part_octets,
                      not_keyed, JobHandler{put_output_part}});
    routes.push_back({post, "/v1/agent/leases/{lease}/outputs/{artifact}/complete", agent, small_json,
                      not_keyed, JobHandler{complete_output}});
}

}  // namespace fallow::api
