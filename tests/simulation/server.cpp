#include "simulation/server.hpp"

#include "market/decide.hpp"

namespace fallow::sim {
namespace {

using engine::Writer;

constexpr Millis beat_every = Millis(500);

struct Encoded {
    std::string operator()(const Done&) const { return "done"; }
    std::string operator()(const market::OrderPlaced& placed) const {
        return placed.order.id.text() + ' ' + (placed.lease ? placed.lease->id.text() : "-") + ' ' +
               (placed.job ? placed.job->id.text() : "-");
    }
    std::string operator()(const ledger::QuoteFacts& quote) const { return quote.quote.text(); }
    std::string operator()(const market::ListingView& view) const { return view.listing.id.text(); }
    std::string operator()(const market::ListingsChanged& changed) const {
        return std::to_string(changed.listings.size());
    }
    std::string operator()(const market::InventoryAccepted& accepted) const {
        return std::to_string(accepted.cards.size());
    }
    std::string operator()(const market::UsageAccepted& accepted) const { return accepted.lease.nonce; }
    std::string operator()(const market::Settings& row) const { return std::to_string(row.version); }
    std::string operator()(const market::Policy& row) const { return std::to_string(row.version); }
    template <class Row>
    std::string operator()(const Row& row) const {
        return row.id.text();
    }
};

}  // namespace

std::int32_t status_of(ErrorCode code) {
    switch (kind_of(code)) {
        case ErrorKind::internal:
            return 500;
        case ErrorKind::unavailable:
            return 503;
        case ErrorKind::not_found:
            return 404;
        case ErrorKind::unprocessable:
            return 422;
        default:
            return 409;
    }
}

Server::Server(World& world, Database& database, std::string name, Millis clock_offset,
               const market::Rules& rules)
    : Process(world, std::move(name)), database_(database), clock_offset_(clock_offset), rules_(rules) {}

void Server::on_boot() {
    session_ = std::make_unique<Session>(database_);
    beat_session_ = std::make_unique<Session>(database_);
    engine::EngineConfig config;
    config.holder = name();
    config.rules = rules_;
    engine::EngineDeps deps{*session_, *beat_session_, {}, {}, {}, {}, "server-key", {}, {}};
    deps.publish = [this](const std::string& topic) { publish(topic); };
    deps.now = [this] { return clock(); };
    deps.random = [this] { return world_.random.id(); };
    deps.address = [this] { return name(); };
    deps.sign = [](const std::string& bytes) { return std::to_string(std::hash<std::string>{}(bytes)); };
    deps.log = [this](const std::string& level, const std::string& message) {
        world_.note("{} logs {}: {}", name(), level, message);
    };
    writer_ = std::make_unique<Writer>(std::move(config), std::move(deps));
    is_taken_ = is_pumping_ = is_committing_ = is_asked_ = false;
    lead();
    beat();
    idle();
}

void Server::on_killed() {
    // Bytes that lie in the network reach the database all the same.
    if (is_committing_ && !is_asked_ && world_.random.chance(500)) static_cast<void>(writer_->commit());
    writer_.reset();
    waiting_.clear();
    unanswered_ = 0;
}

Millis Server::database_delay() {
    return database_.stalled_for() + world_.random.span(1, 6);
}

/// Until the market is led: one question to the database a step.
void Server::lead() {
    Millis next = beat_every;
    if (!writer_->is_leading() && !is_committing_) {
        try {
            if (writer_->take_row()) {
                is_taken_ = true;
                next = database_delay();
            }
        } catch (const std::exception& error) {
            writer_->let_go(error.what());
        }
    } else if (is_taken_) {
        is_taken_ = false;
        try {
            writer_->load();
            pump();
        } catch (const std::exception& error) {
            writer_->let_go(error.what());
        }
    }
    later(next, [this] { lead(); });
}

void Server::beat() {
    writer_->beat();
    later(beat_every + database_.stalled_for(), [this] { beat(); });
}

void Server::idle() {
    if (!is_taken_) writer_->run_timers();
    pump();
    later(world_.random.span(200, 700), [this] { idle(); });
}

/// Some steps of deciding now, the rest a moment later, so that a batch grows while another commits.
void Server::pump() {
    if (is_pumping_) return;
    for (auto steps = world_.random.between(1, 3); steps > 0; --steps) {
        const bool has_decided = writer_->decide();
        begin_commit();
        if (!has_decided) return;
    }
    is_pumping_ = true;
    later(world_.random.span(1, 3), [this] {
        is_pumping_ = false;
        pump();
    });
}

void Server::begin_commit() {
    if (is_committing_ || !writer_->has_batch()) return;
    is_committing_ = true;
    is_asked_ = false;
    later(database_delay(), [this] { commit(); });
}

void Server::commit() {
    is_asked_ = true;
    const Writer::Commit came = writer_->commit();
    const bool is_slow = came == Writer::Commit::out_of_reach || came == Writer::Commit::failed;
    later(is_slow ? Millis(200) : database_delay(), [this, came] { end_commit(came); });
}

void Server::end_commit(Writer::Commit came) {
    if (came == Writer::Commit::unknown || came == Writer::Commit::out_of_reach) return commit();
    is_committing_ = false;
    writer_->settle();
    pump();
}

void Server::publish(const std::string& topic) {
    ++versions_[topic];
    const auto [first, last] = waiting_.equal_range(topic);
    std::vector<std::function<void()>> woken;
    for (auto at = first; at != last; ++at)
        woken.push_back(std::move(at->second));
    waiting_.erase(first, last);
    for (const auto& wake : woken)
        wake();
}

void Server::request(const market::Command& command, const market::Caller& caller,
                     std::optional<engine::IdempotencyKey> key, Answered answered) {
    const auto outcome = std::make_shared<std::optional<market::Outcome>>();
    const auto is_answered = std::make_shared<bool>(false);
    engine::Submission submission;
    submission.command = command;
    submission.caller = caller;
    submission.idempotency = std::move(key);
    submission.encode = [outcome](const Result<market::Outcome>& decided) -> engine::Reply {
        if (!decided) {
            outcome->reset();
            return {status_of(decided.error().code), std::string(name_of(decided.error().code))};
        }
        *outcome = *decided;
        return {200, std::visit(Encoded(), *decided)};
    };
    submission.done = [this, outcome, is_answered, answered](engine::Reply reply, bool replayed) {
        if (std::exchange(*is_answered, true)) throw Violation("answered_once", reply.body);
        --unanswered_;
        const bool has_outcome = reply.status == 200 && !replayed;
        answered(Answer{reply.status, std::move(reply.body), replayed,
                        has_outcome ? *outcome : std::optional<market::Outcome>()});
    };
    ++unanswered_;
    if (const Status queued = writer_->submit(std::move(submission)); !queued) {
        --unanswered_;
        return answered(
            Answer{status_of(queued.error().code), std::string(name_of(queued.error().code)), false, {}});
    }
    pump();
}

void Server::heartbeat(HostId host, std::function<void(std::optional<Beaten>)> answered) {
    const auto epoch = writer_->confirmed_epoch();
    const bool is_leader = writer_->is_leading() && writer_->stats().epoch == database_.epoch();
    if (is_leader && on_heartbeat) on_heartbeat(host);
    writer_->heartbeat(host);
    pump();
    if (!epoch) return answered(std::nullopt);
    answered(Beaten{*epoch, clock()});
}

DesiredRows Server::read_desired(HostId host) {
    const auto epoch = writer_->confirmed_epoch();
    if (!epoch || !database_.is_up()) return {};
    DesiredRows desired{true, std::to_string(*epoch) + '-', *epoch, clock(), {}};
    desired.version += std::to_string(versions_["host/" + host.text()]);
    for (const auto& [id, lease] : database_.rows().rows<market::Lease>()) {
        if (lease.host != host || lease.released) continue;
        std::optional<market::Job> job;
        if (lease.job) job = database_.rows().rows<market::Job>().at(*lease.job);
        std::vector<std::string> uuids;
        for (const CardId card : lease.cards)
            uuids.push_back(database_.rows().rows<market::Card>().at(card).uuid);
        desired.leases.push_back({lease, job, std::move(uuids)});
    }
    return desired;
}

void Server::desired(HostId host, const std::string& version, Millis wait,
                     std::function<void(DesiredRows)> answered) {
    const auto epoch = writer_->confirmed_epoch();
    if (!epoch) return answered({});
    const std::string topic = "host/" + host.text();
    if (version != std::to_string(*epoch) + '-' + std::to_string(versions_[topic]))
        return answered(read_desired(host));
    const auto is_done = std::make_shared<bool>(false);
    const auto answer = [this, host, answered = std::move(answered), is_done] {
        if (!std::exchange(*is_done, true)) answered(read_desired(host));
    };
    waiting_.emplace(topic, answer);
    later(wait, answer);
}

}  // namespace fallow::sim
