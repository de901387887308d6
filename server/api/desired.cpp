#include "api/desired.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "api/cursor.hpp"
#include "api/reply.hpp"
#include "api/services.hpp"
#include "store/row_reader.hpp"

namespace fallow::api {
namespace {

using market::LeaseState;

bool wants_stop(const market::Lease& lease) {
    return lease.stop_reason || lease.state == LeaseState::reclaiming || lease.state == LeaseState::ended;
}

/// From the signal to the kill: what is left of a notice or grace; nothing once the lease does not run any
/// more.
Millis grace_of(const market::Lease& lease, Time now) {
    if (lease.state != LeaseState::running || !lease.reclaim_deadline) return Millis();
    return std::max(Millis(), *lease.reclaim_deadline - now);
}

/// What its containers may send all together, for life.
std::optional<std::int64_t> egress_bytes_max(const market::Lease& lease) {
    if (!lease.egress_mib_max) return std::nullopt;
    return *lease.egress_mib_max * ledger::bytes_per_mib;
}

std::optional<Time> run_until(const market::Lease& lease) {
    std::optional<Time> until;
    if (lease.running_at) until = *lease.running_at + lease.term;
    if (lease.ends_by && until && *lease.ends_by < *until) until = lease.ends_by;
    if (lease.maintenance_at && until && *lease.maintenance_at < *until) until = lease.maintenance_at;
    if (lease.reclaim_deadline && (!until || *lease.reclaim_deadline < *until))
        until = lease.reclaim_deadline;
    return until;
}

void write_cards(JsonWriter& json, const std::vector<market::Card>& cards) {
    json.key("cards").begin_array();
    for (const market::Card& card : cards)
        json.begin_object()
            .field("card_id", card.id)
            .field("uuid", card.uuid)
            .field("backend", card.backend)
            .field("index", card.index)
            .field("device_class", card.device_class)
            .end_object();
    json.end_array();
}

/// Variables that the server adds to the job's own: what it cannot know otherwise.
void write_environment(JsonWriter& json, const market::Lease& lease) {
    json.key("environment").begin_object();
    if (lease.is_share()) json.field("FALLOW_THOUSANDTHS", std::to_string(lease.thousandths));
    if (lease.is_member())
        json.field("FALLOW_RANK", std::to_string(lease.rank))
            .field("FALLOW_WORLD_SIZE", std::to_string(lease.hosts));
    json.end_object();
}

/// Which of several leases it is, and what is known of the private network among them, if they have one.
void write_gang(JsonWriter& json, const DesiredLease& desired) {
    json.key("gang");
    if (!desired.lease.is_member()) {
        json.null();
        return;
    }
    json.begin_object().field("rank", desired.lease.rank).field("hosts", desired.lease.hosts);
    json.key("members").begin_array();
    for (const GangMember& member : desired.gang)
        json.begin_object()
            .field("rank", member.rank)
            .field("public_key", member.public_key)
            .field("endpoint", member.endpoint)
            .end_object();
    json.end_array().end_object();
}

void read_gangs(store::Transaction& tx, std::vector<DesiredLease>& leases) {
    std::vector<OrderId> gangs;
    for (const DesiredLease& item : leases)
        if (item.lease.is_member() && !wants_stop(item.lease)) gangs.push_back(item.lease.order);
    for (const GangMember& member : read_gang_members(tx, gangs))
        for (DesiredLease& item : leases)
            if (item.lease.order == member.order && !wants_stop(item.lease)) item.gang.push_back(member);
}

/// By the host and not by a list of jobs: PostgreSQL plans a statement with a list anew each time.
void read_specs(store::Transaction& tx, const store::Parameters& of_host,
                std::vector<DesiredLease>& leases) {
    const auto specs = tx.prepared(
        "desired_specs",
        "SELECT jobs.id, job_specs.document, jobs.max_duration_ms FROM leases JOIN jobs ON jobs.id = "
        "leases.job_id JOIN job_specs ON job_specs.job_id = jobs.id "
        "WHERE leases.host_id = $1 AND NOT leases.released",
        of_host);
    for (const auto& row : specs)
        for (DesiredLease& item : leases)
            if (item.lease.job == store::read_cell<JobId>(row[0]) && !wants_stop(item.lease)) {
                item.spec = store::read_cell<std::string>(row[1]);
                item.max_duration = store::read_cell<Millis>(row[2]);
            }
}

/// Prepared, since a renter may be waiting for its job to start.
std::vector<DesiredLease> read_desired(store::Transaction& tx, HostId host) {
    std::vector<DesiredLease> found;
    const store::Parameters of_host{store::parameter_of(host)};
    const std::string leases = "SELECT " + store::select_list<market::Lease>() +
                               " FROM leases WHERE host_id = $1 AND NOT released ORDER BY allocated_at, id";
    for (auto& lease : store::read_all<market::Lease>(tx.prepared("desired_leases", leases, of_host)))
        found.push_back({std::move(lease), {}, {}, {}});
    if (found.empty()) return found;

    const auto cards =
        store::read_all<market::Card>(tx.prepared("desired_cards",
                                                  "SELECT " + store::select_list<market::Card>() +
                                                      " FROM cards WHERE host_id = $1 ORDER BY index, id",
                                                  of_host));
    bool has_jobs = false;
    for (DesiredLease& item : found) {
        std::ranges::copy_if(cards, std::back_inserter(item.cards), [&](const market::Card& card) {
            return std::ranges::find(item.lease.cards, card.id) != item.lease.cards.end();
        });
        has_jobs = has_jobs || (item.lease.job && !wants_stop(item.lease));
    }
    if (has_jobs) read_specs(tx, of_host, found);
    read_gangs(tx, found);
    return found;
}

std::string topic_of(HostId host) {
    return "host/" + host.text();
}

/// One long-poll.
class Poll : public std::enable_shared_from_this<Poll> {
  public:
    Poll(Services& services, HostId host, AsyncHandler::Done done)
        : services_(services), host_(host), done_(std::move(done)) {}

    void start(const std::string& known, Millis wait) {
        const auto epoch = services_.confirmed_epoch();
        if (!epoch)
            return done_(
                refuse(ErrorCode::not_leader, "The market's leader is not confirmed at the moment."));
        const std::uint64_t seen = services_.hub.version(topic_of(host_));
        const std::string current = version(*epoch, seen);
        if (!known.starts_with(current) || wait.count == 0) return answer();
        const bool had_none = known == with_count(current, 0);
        const auto deadline = engine::Hub::Clock::now() + std::chrono::milliseconds(wait.count);
        services_.hub.wait(topic_of(host_), seen, deadline,
                           [self = shared_from_this(), current, had_none](bool) {
                               if (!had_none || !self->answer_none(current)) self->answer();
                           });
    }

  private:
    /// What was seen counts on the server that saw it alone, which the middle names. The number of leases
    /// follows.
    [[nodiscard]] std::string version(std::int64_t epoch, std::uint64_t seen) const {
        return fmt::format("{}-{}-{}-", epoch, services_.instance, seen);
    }
    [[nodiscard]] static std::string with_count(const std::string& version, std::size_t leases) {
        return version + std::to_string(leases);
    }

    /// Most hosts have no lease most of the time: as long as nothing has changed since the agent was told
    /// so, it is told again without the database. False when something has.
    [[nodiscard]] bool answer_none(const std::string& known) {
        const auto epoch = services_.confirmed_epoch();
        if (!epoch || version(*epoch, services_.hub.version(topic_of(host_))) != known) return false;
        JsonWriter json;
        begin(json, with_count(known, 0), *epoch);
        json.key("leases").begin_array().end_array().end_object();
        done_(json_reply(json.take()));
        return true;
    }

    void begin(JsonWriter& json, const std::string& version, std::int64_t epoch) const {
        json.begin_object().field("version", version).field("epoch", epoch);
        json.field("server_time", services_.now());
    }

    void answer() {
        const bool queued = services_.workers.submit([self = shared_from_this()](
                                                         store::Connection& connection) {
            try {
                self->done_(self->read(connection));
            } catch (const std::exception& error) {
                self->services_.log.error("desired state not read", {{"error", error.what()}});
                self->done_(refuse(ErrorCode::internal, "The server failed to read the desired state."));
            }
        });
        if (!queued) done_(refuse(ErrorCode::queue_full, "The server has too much to do; try again."));
    }

    Result<http::Reply> read(store::Connection& connection) {
        // The version is taken before the rows: a change in between is seen as new at the next poll.
        const auto epoch = services_.confirmed_epoch();
        if (!epoch)
            return refuse(ErrorCode::not_leader, "The market's leader is not confirmed at the moment.");
        const std::string current = version(*epoch, services_.hub.version(topic_of(host_)));
        const auto leases = store::run_as(connection, store::Actor::agent(host_),
                                          [&](store::Transaction& tx) { return read_desired(tx, host_); });
        const Time now = services_.now();
        JsonWriter json(1024 * (leases.size() + 1));
        begin(json, with_count(current, leases.size()), *epoch);
        json.key("leases").begin_array();
        for (const DesiredLease& lease : leases)
            write(json, lease, services_.config, now);
        json.end_array().end_object();
        return json_reply(json.take());
    }

    Services& services_;
    const HostId host_;
    const AsyncHandler::Done done_;
};

}  // namespace

void write(JsonWriter& json, const DesiredLease& desired, const ops::Config& config, Time now) {
    const market::Lease& lease = desired.lease;
    const bool stops = wants_stop(lease);
    const Time pull_deadline = lease.preparing_at.value_or(now) + Millis(config.pull_ms);
    json.begin_object()
        .field("lease_id", lease.id)
        .field("lease_epoch", lease.epoch)
        .field("want", stops ? "stop" : "run")
        .field("stop_reason", lease.stop_reason ? lease.stop_reason : lease.end_reason)
        .field("grace_ms", grace_of(lease, now))
        .field("attempt", lease.attempt)
        .field("job_id", lease.job);
    json.key("spec");
    if (desired.spec)
        json.raw(*desired.spec);
    else
        json.null();
    write_cards(json, desired.cards);
    write_environment(json, lease);
    json.field("nonce", lease.nonce)
        .field("usage_sequence", lease.usage_sequence)
        .field("paid_until", lease.paid_until)
        .field("run_until", run_until(lease))
        .field("max_duration_ms", desired.max_duration)
        .field("pull_deadline", pull_deadline)
        .field("start_deadline", pull_deadline + Millis(config.start_ms))
        .field("usage_interval_ms", config.usage_interval_ms)
        .field("fence_ms", config.fence_ms + (lease.pinned ? config.pinned_lost_ms : 0))
        .field("reclaim_notice_ms", lease.reclaim_notice)
        .field("price_micros_per_hour", lease.price)
        .field("thousandths", lease.thousandths)
        .field("egress_bytes_max", egress_bytes_max(lease));
    write_gang(json, desired);
    json.end_object();
}

void desired(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done) {
    const http::Request& request = exchange->request;
    if (const Status good = check_query(request, {"version", "wait_ms"}); !good) return done(good.error());
    const auto wait = query_integer(request, "wait_ms", 0, 0, 600'000);
    if (!wait) return done(wait.error());
    const std::string* known = request.query_value("version");
    const Millis bounded(std::min(*wait, services.config.desired_wait_ms));
    std::make_shared<Poll>(services, *exchange->actor.host(), std::move(done))
        ->start(known != nullptr ? *known : std::string(), bounded);
}

}  // namespace fallow::api
