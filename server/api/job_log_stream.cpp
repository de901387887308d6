#include "api/job_log_stream.hpp"

#include <charconv>

#include "api/accounts_json.hpp"
#include "api/market_json.hpp"
#include "api/polled_stream.hpp"
#include "api/queries.hpp"
#include "store/job_logs.hpp"

namespace fallow::api {
namespace {

constexpr std::int64_t entries_per_read = 100;
/// Lines may have been sent to another server, which the journal does not tell.
constexpr Millis refresh = seconds(1);

bool is_final(market::JobState state) {
    using enum market::JobState;
    return state == succeeded || state == failed || state == cancelled;
}

struct LogPosition {
    JobId job;
    std::int32_t attempt = 1;
    std::int64_t after = -1;
    bool follows_attempts = true;
};

class JobLogStream : public PolledStream {
  public:
    JobLogStream(Services& services, std::unique_ptr<StreamLimits::Place> place,
                 OrganizationId organization, LogPosition position)
        : PolledStream(services, "job/" + position.job.text(), std::move(place), Millis(), refresh),
          organization_(organization),
          position_(position) {}

  protected:
    Chunk read(store::Connection& connection) override {
        store::Transaction tx(connection, store::Actor::request(organization_));
        // The job first: entries that are not there after it was final will never be.
        const auto job = find_row<market::Job>(tx, position_.job);
        if (!job) return {"", true};
        Chunk chunk;
        chunk.text = read_entries(tx);
        while (chunk.text.empty() && position_.follows_attempts && position_.attempt < job->attempts) {
            ++position_.attempt;
            position_.after = -1;
            chunk.text = read_entries(tx);
        }
        tx.commit();
        if (chunk.text.empty() && is_final(job->state)) {
            chunk.text = end_event(*job);
            chunk.is_end = true;
        }
        return chunk;
    }

  private:
    std::string read_entries(store::Transaction& tx) {
        std::string text;
        const auto entries = store::LogStore(tx, {"system", services_.now()})
                                 .read(position_.job, position_.attempt, position_.after, entries_per_read);
        for (const accounts::LogEntry& entry : entries) {
            text += server_sent_event(std::to_string(entry.sequence), "log", to_json(entry));
            position_.after = entry.sequence;
        }
        return text;
    }

    static std::string end_event(const market::Job& job) {
        JsonWriter json;
        json.begin_object()
            .field("state", job.state)
            .field("exit_code", job.exit_code)
            .field("reason", job.reason)
            .end_object();
        return server_sent_event("", "end", json.text());
    }

    const OrganizationId organization_;
    LogPosition position_;
};

/// The sequence in Last-Event-ID, which is what a reader that reconnects has seen.
std::int64_t resumed_after(const http::Request& request, std::int64_t otherwise) {
    const std::string* given = request.header("last-event-id");
    if (given == nullptr) return otherwise;
    std::int64_t sequence = 0;
    const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), sequence);
    return error == std::errc() && end == given->data() + given->size() ? sequence : otherwise;
}

}  // namespace

Result<http::Reply> follow_job_log(const Call& call, const market::Job& job, std::int32_t attempt,
                                   std::int64_t after) {
    auto place = call.services.stream_limits.enter(call.actor().organization);
    if (!place) return too_many_streams();
    const LogPosition position{job.id, attempt, resumed_after(call.request(), after),
                               call.request().query_value("attempt") == nullptr};
    return stream_reply(std::make_shared<JobLogStream>(call.services, std::move(place),
                                                       call.actor().organization, position));
}

}  // namespace fallow::api
