// Jobs, their logs and their outputs.
#include "api/accounts_json.hpp"
#include "api/job_log_stream.hpp"
#include "api/json_writer.hpp"
#include "api/lease_progress.hpp"
#include "api/market_json.hpp"
#include "api/outcomes.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/settled.hpp"
#include "store/artifacts.hpp"
#include "store/job_logs.hpp"
#include "store/lease_progress.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

struct JobWithSpec {
    market::Job job;
    std::string document;
};

Result<JobWithSpec> find_job(JobCall& call) {
    const auto id = call.id<JobId>("job");
    if (!id) return id.error();
    auto job = find_row<market::Job>(call.tx, *id);
    if (!job) return job.error();
    auto spec = find_row<market::JobSpec>(call.tx, *id, "job_id");
    if (!spec) return spec.error();
    return JobWithSpec{std::move(*job), std::move(spec->document)};
}

/// What their hosts have told of the jobs' leases, as far as it is still so.
std::unordered_map<JobId, accounts::LeaseProgress> progress_by_job(JobCall& call,
                                                                   const std::vector<market::Job>& jobs) {
    std::unordered_map<LeaseId, const market::Job*> by_lease;
    std::vector<LeaseId> leases;
    for (const market::Job& job : jobs)
        if (job.lease) by_lease[leases.emplace_back(*job.lease)] = &job;
    std::unordered_map<JobId, accounts::LeaseProgress> found;
    for (const auto& progress : store::read_progress(call.tx, leases)) {
        const market::Job& job = *by_lease.at(progress.lease);
        if (is_of_now(progress, job)) found[job.id] = progress;
    }
    return found;
}

const accounts::LeaseProgress* progress_of(const std::unordered_map<JobId, accounts::LeaseProgress>& all,
                                           JobId job) {
    const auto found = all.find(job);
    return found == all.end() ? nullptr : &found->second;
}

Result<http::Reply> list_jobs(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), "jobs", 1);
    if (!page) return page.error();
    const auto jobs =
        read_newest<market::Job>(call.tx, "organization_id = $1",
                                 {store::parameter_of(call.actor().organization)}, "queued_at", *page);
    std::vector<JobId> ids;
    for (const market::Job& job : jobs)
        ids.push_back(job.id);
    std::unordered_map<JobId, std::string> documents;
    for (auto& spec : store::read_all<market::JobSpec>(
             call.tx.query("SELECT " + store::select_list<market::JobSpec>() +
                               " FROM job_specs WHERE job_id = ANY ($1::uuid[])",
                           ids)))
        documents[spec.job] = std::move(spec.document);
    const auto progress = progress_by_job(call, jobs);
    return list_reply(
        jobs, page->limit, "jobs",
        [&](JsonWriter& json, const market::Job& job) {
            write(json, job, documents.at(job.id), progress_of(progress, job.id));
        },
        [](const market::Job& job) {
            return CursorKey{{job.queued_at.ms}, job.id.raw};
        });
}

Result<http::Reply> get_job(JobCall& call) {
    const auto found = find_job(call);
    if (!found) return found.error();
    const auto progress = progress_by_job(call, {found->job});
    return json_reply(to_json(found->job, found->document, progress_of(progress, found->job.id)));
}

Result<Decoded> decode_cancel_job(const Call& call) {
    const auto id = call.id<JobId>("job");
    if (!id) return id.error();
    return plain_command(call, market::CancelJob{*id});
}

Result<http::Reply> logs(JobCall& call) {
    const auto found = find_job(call);
    if (!found) return found.error();
    if (const Status good = check_query(call.request(), {"limit", "cursor", "attempt", "after"}); !good)
        return good.error();
    const auto attempt = query_integer(call.request(), "attempt", std::max(found->job.attempts, 1), 1,
                                       limits::job_attempts_max);
    if (!attempt) return attempt.error();
    auto after = query_integer(call.request(), "after", -1, -1, INT64_MAX);
    if (!after) return after.error();
    if (wants_events(call.request()))
        return follow_job_log(call, found->job, static_cast<std::int32_t>(*attempt), *after);

    const auto page = read_page(call.request(), "logs", 1);
    if (!page) return page.error();
    if (page->after) after = page->after->numbers[0];
    const auto entries =
        store::LogStore(call.tx, call.author())
            .read(found->job.id, static_cast<std::int32_t>(*attempt), *after, page->limit + 1);
    const RawId job = found->job.id.raw;
    return list_reply(
        entries, page->limit, "logs",
        [](JsonWriter& json, const accounts::LogEntry& entry) { write(json, entry); },
        [&](const accounts::LogEntry& entry) {
            return CursorKey{{entry.sequence}, job};
        });
}

Result<http::Reply> outputs(JobCall& call) {
    const auto id = call.id<JobId>("job");
    if (!id) return id.error();
    if (const auto job = find_row<market::Job>(call.tx, *id); !job) return job.error();
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const auto& output : store::ArtifactStore(call.tx, call.author()).list_outputs(*id))
        write(json, output);
    json.end_array().key("next_cursor").null().end_object();
    return json_reply(json.take());
}

}  // namespace

void add_job_routes(std::vector<Route>& routes) {
    const auto reads = reads_as_renter();
    routes.push_back({get, "/v1/jobs", reads, no_body, not_keyed, JobHandler{list_jobs}});
    routes.push_back({get, "/v1/jobs/{job}", reads, no_body, not_keyed, JobHandler{get_job}});
    routes.push_back({post, "/v1/jobs/{job}/cancel", writes_as_renter(), small_json, keyed,
                      CommandHandler{decode_cancel_job, encode_job, 200, require_live_job}});
    routes.push_back({get, "/v1/jobs/{job}/logs", reads, no_body, not_keyed, JobHandler{logs}});
    routes.push_back({get, "/v1/jobs/{job}/outputs", reads, no_body, not_keyed, JobHandler{outputs}});
}

}  // namespace fallow::api
