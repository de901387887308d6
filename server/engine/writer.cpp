#include "engine/writer.hpp"

#include <chrono>
#include <stdexcept>

#include "engine/journal.hpp"
#include "market/decide.hpp"

namespace fallow::engine {
namespace {

constexpr std::size_t replies_max = 16 * 1024;
constexpr Millis idle_wake = Millis(200);
constexpr Millis match_every = seconds(5);

Reply refusal_of(const Submission& submission, ErrorCode code, const std::string& detail) {
    return submission.encode(refuse(code, detail));
}

/// Whether a reply may be kept for twins: a refusal that a repetition can cure must not be.
bool is_kept(const Reply& reply) {
    return reply.status < 500;
}

}  // namespace

Writer::Writer(EngineConfig config, EngineDeps deps)
    : config_(std::move(config)), deps_(std::move(deps)), replies_(replies_max) {}

void Writer::log(const std::string& level, const std::string& message) const {
    if (deps_.log) deps_.log(level, message);
}

bool Writer::is_stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

void Writer::start() {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) throw std::runtime_error("stopped before the start");
        starting_ = true;
    }
    // stop() waits for this, so that it never meets threads or a connection that start() is about to use.
    const auto end_of_start = [this] {
        const std::lock_guard lock(mutex_);
        starting_ = false;
        commit_wake_.notify_all();
    };
    try {
        run_start();
    } catch (...) {
        end_of_start();
        throw;
    }
    end_of_start();
}

/// The beat begins before the market is read, which may take longer than a leader may be silent.
void Writer::run_start() {
    beater_ = std::thread([this] { beat_loop(); });
    lead();
    load();
    const std::lock_guard lock(mutex_);
    if (stopping_) throw std::runtime_error("stopped while the market was read");
    accepting_ = true;
    decider_ = std::thread([this] { decide_loop(); });
    committer_ = std::thread([this] { commit_loop(); });
}

/// Takes the leader row, waiting while another holder is fresh. The row is bumped before the state is read.
void Writer::lead() {
    Time asked;
    while (true) {
        asked = deps_.now();
        if (auto taken = deps_.store.take_leadership(config_.market, config_.holder, config_.stale_after)) {
            leadership_ = std::move(*taken);
            break;
        }
        std::unique_lock lock(mutex_);
        commit_wake_.wait_for(lock, std::chrono::milliseconds(config_.beat.count),
                              [this] { return stopping_; });
        if (stopping_) throw std::runtime_error("stopped while waiting for the leader row");
    }
    const std::lock_guard lock(mutex_);
    epoch_ = leadership_.epoch;
    sequence_ = leadership_.sequence;
    leading_ = true;
    lost_ = false;
    confirm(asked);
}

void Writer::load() {
    LoadedMarket loaded = deps_.store.load(config_.market);
    state_.emplace(config_.rules);
    const auto add = [&](const auto& rows) {
        for (const auto& row : rows)
            state_->replace<std::decay_t<decltype(row)>>(nullptr, &row);
    };
    state_->replace<market::Settings>(nullptr, &loaded.settings);
    add(loaded.organizations);
    add(loaded.accounts);
    add(loaded.hosts);
    add(loaded.cards);
    add(loaded.listings);
    add(loaded.orders);
    add(loaded.jobs);
    add(loaded.leases);
    add(loaded.freezes);
    replies_.clear();
    for (const IdempotencyRecord& record : loaded.recent_keys)
        replies_.add(record);
    presence_.clear();
    const Time now = deps_.now();
    for (const market::Host& host : loaded.hosts) {
        const bool expected =
            host.state == market::HostState::online || host.state == market::HostState::draining;
        if (expected && !host.unreachable_since) presence_.expect(host.id, now);
    }
    last_now_ = std::max(last_now_, leadership_.last_journal_at);
    ticks_alone_ = false;
    set_aside_.clear();
    publish_stats();
}

void Writer::stop() {
    {
        std::unique_lock lock(mutex_);
        if (stopped_) return;
        stopping_ = true;
        stopped_ = true;
        wake_.notify_all();
        commit_wake_.notify_all();
        commit_wake_.wait(lock, [this] { return !starting_; });
    }
    if (decider_.joinable()) decider_.join();
    commit_wake_.notify_all();
    if (committer_.joinable()) committer_.join();
    if (beater_.joinable()) beater_.join();
    if (!leading_) return;
    try {
        deps_.store.release_leadership(config_.market, epoch_);
    } catch (const std::exception& error) {
        log("warn", std::string("the leader row could not be given up: ") + error.what());
    }
}

Status Writer::submit(Submission submission) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_)
            return refuse(ErrorCode::draining,
                          "The server is shutting down: try another one, or try again.");
        if (!accepting_)
            return refuse(ErrorCode::not_leader, "The market is being taken over: try again in a second.");
        if (queue_.size() >= config_.queue_max)
            return refuse(ErrorCode::queue_full, "Too many commands are waiting: try again in a second.");
        queue_.push_back(std::move(submission));
    }
    wake_.notify_one();
    return Done{};
}

void Writer::submit_internal(market::Command command) {
    Submission submission;
    submission.command = std::move(command);
    submission.caller.admin = true;
    submission.caller.name = "system";
    submission.encode = [](const Result<market::Outcome>&) { return Reply{}; };
    submission.done = [](Reply, bool) {};
    const bool is_tick = std::holds_alternative<market::Tick>(submission.command);
    if (is_tick) submission.done = [this](Reply, bool) { --ticks_pending_; };
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (is_tick) ++ticks_pending_;
    queue_.push_back(std::move(submission));
}

std::optional<std::int64_t> Writer::confirmed_epoch() const {
    const std::int64_t confirmed = confirmed_at_ms_;
    if (confirmed == 0 || deps_.now().ms - confirmed > config_.confirmed_within.count) return std::nullopt;
    return epoch_.load();
}

void Writer::heartbeat(HostId host) {
    if (!presence_.heard(host, deps_.now())) return;
    submit_internal(market::HostBack{host});
    wake_.notify_one();
}

EngineStats Writer::stats() const {
    EngineStats stats;
    stats.holder = config_.holder;
    stats.epoch = epoch_;
    stats.sequence = sequence_;
    if (const std::int64_t confirmed = confirmed_at_ms_; confirmed != 0)
        stats.confirmed_at = Time(confirmed);
    stats.active_leases = active_leases_;
    stats.standing_orders = standing_orders_;
    stats.batches = batches_;
    stats.commands = commands_;
    stats.quarantined = quarantined_;
    const std::lock_guard lock(mutex_);
    stats.queue_depth = queue_.size() + forced_size_;
    return stats;
}

void Writer::publish_stats() {
    active_leases_ = state_->active_leases();
    standing_orders_ = state_->demands().size();
}

// --- the deciding thread

bool Writer::has_work() const {
    if (growing_.forced) return false;
    if (!forced_.empty()) return growing_.commands.empty();
    return !queue_.empty() && growing_.commands.size() < config_.batch_max;
}

void Writer::decide_loop() {
    std::unique_lock lock(mutex_);
    while (true) {
        if (slot_ == Slot::done) on_commit_done(lock);
        if (lost_ && slot_ == Slot::empty) {
            undo_batch(growing_);
            requeue(std::exchange(growing_, DecidedBatch{}), CommitOutcome::failed);
            step_down(lock, "the leader row has another epoch");
        }
        if (has_work()) {
            decide_some(lock);
            continue;
        }
        if (slot_ == Slot::empty && !growing_.commands.empty()) {
            hand_over();
            continue;
        }
        if (stopping_ && slot_ == Slot::empty) {
            decider_alive_ = false;
            return;
        }
        wake_.wait_for(lock, std::chrono::milliseconds(idle_wake.count), [this] {
            return slot_ == Slot::done || has_work() || (stopping_ && slot_ == Slot::empty);
        });
        if (stopping_) continue;
        lock.unlock();
        submit_timers();
        lock.lock();
    }
}

void Writer::decide_some(std::unique_lock<std::mutex>& lock) {
    std::vector<Submission> taken;
    if (!forced_.empty()) {
        taken = std::move(forced_.front());
        forced_.pop_front();
        forced_size_ -= taken.size();
        growing_.forced = true;
    } else {
        while (!queue_.empty() && growing_.commands.size() + taken.size() < config_.batch_max) {
            taken.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
    }
    lock.unlock();
    for (Submission& submission : taken)
        decide_one(std::move(submission), growing_);
    publish_stats();
    lock.lock();
}

bool Writer::answer_twin(Submission& submission, DecidedBatch& batch) {
    if (!submission.idempotency) return false;
    const ReplyCache::Entry* known = replies_.find(*submission.idempotency);
    if (known == nullptr) return false;
    Decided decided;
    decided.replayed = known->body_hash == submission.idempotency->body_hash;
    decided.reply =
        decided.replayed
            ? known->reply
            : refusal_of(submission, ErrorCode::idempotency_key_reused,
                         "The key belongs to another request: use a new key for a new request.");
    decided.submission = std::move(submission);
    batch.commands.push_back(std::move(decided));
    return true;
}

void Writer::decide_one(Submission submission, DecidedBatch& batch) {
    last_now_ = std::max(last_now_, deps_.now());
    batch.now = last_now_;
    if (answer_twin(submission, batch)) return;
    const market::Context context{last_now_, deps_.random(), epoch_, submission.caller};
    market::Decision decision = market::decide(*state_, submission.command, context);
    Decided decided;
    decided.reply = submission.encode(decision.outcome);
    if (submission.idempotency && is_kept(decided.reply)) {
        const IdempotencyKey& key = *submission.idempotency;
        replies_.add(key, decided.reply);
        batch.idempotency.push_back(IdempotencyRecord{key.organization, key.route, key.key, key.body_hash,
                                                      decided.reply.status, decided.reply.body, last_now_});
    }
    batch.entries.insert(batch.entries.end(), std::make_move_iterator(decision.entries.begin()),
                         std::make_move_iterator(decision.entries.end()));
    decided.submission = std::move(submission);
    batch.commands.push_back(std::move(decided));
}

void Writer::hand_over() {
    in_flight_ = std::move(growing_);
    growing_ = DecidedBatch{};
    slot_ = Slot::committing;
    commit_wake_.notify_all();
}

/// Callers are answered without the lock: what they do then is not ours to know.
void Writer::on_commit_done(std::unique_lock<std::mutex>& lock) {
    slot_ = Slot::empty;
    const CommitResult result = std::exchange(result_, CommitResult{});
    DecidedBatch batch = std::exchange(in_flight_, DecidedBatch{});
    if (result.outcome == CommitOutcome::committed) {
        lock.unlock();
        forget_final_rows(batch);
        publish_stats();
        lock.lock();
        return;
    }
    on_commit_failed(lock, std::move(batch), result);
}

/// n+1 was decided on top of n: both are taken back, the later one first.
void Writer::on_commit_failed(std::unique_lock<std::mutex>& lock, DecidedBatch failed,
                              const CommitResult& result) {
    undo_batch(growing_);
    undo_batch(failed);
    DecidedBatch later = std::exchange(growing_, DecidedBatch{});
    if (stopping_ && result.outcome == CommitOutcome::failed) {
        lock.unlock();
        for (DecidedBatch* batch : {&failed, &later})
            refuse_all(std::move(*batch), ErrorCode::draining,
                       "The server stopped before the command was known to be durable.");
        lock.lock();
        return;
    }
    requeue(std::move(later), CommitOutcome::failed);
    if (result.outcome == CommitOutcome::stale) {
        requeue(std::move(failed), CommitOutcome::failed);
        step_down(lock, result.detail);
        return;
    }
    if (result.outcome == CommitOutcome::refused && failed.commands.size() == 1) {
        lock.unlock();
        quarantine(failed.commands.front(), result.detail);
        lock.lock();
    } else {
        requeue(std::move(failed), result.outcome);
    }
    publish_stats();
}

void Writer::undo_batch(DecidedBatch& batch) {
    market::undo(*state_, batch.entries);
    batch.entries.clear();
    for (const IdempotencyRecord& record : batch.idempotency)
        replies_.remove(IdempotencyKey{record.organization, record.route, record.key, record.body_hash});
}

void Writer::refuse_all(DecidedBatch batch, ErrorCode code, const std::string& detail) {
    for (Decided& decided : batch.commands)
        decided.submission.done(refusal_of(decided.submission, code, detail), false);
}

/// Puts a batch's commands before everything else, in their order; halved when the database refused the
/// batch.
void Writer::requeue(DecidedBatch batch, CommitOutcome outcome) {
    if (batch.commands.empty()) return;
    std::vector<Submission> all;
    for (Decided& decided : batch.commands)
        all.push_back(std::move(decided.submission));
    forced_size_ += all.size();
    if (outcome != CommitOutcome::refused) {
        forced_.push_front(std::move(all));
        return;
    }
    const auto half = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    std::vector<Submission> second(std::make_move_iterator(half), std::make_move_iterator(all.end()));
    all.erase(half, all.end());
    forced_.push_front(std::move(second));
    forced_.push_front(std::move(all));
}

void Writer::quarantine(Decided& decided, const std::string& detail) {
    ++quarantined_;
    log("error", "a command was refused by the database and set aside: " + detail + "; command " +
                     std::to_string(decided.submission.command.index()) + " of " +
                     decided.submission.caller.name);
    const Reply reply =
        refusal_of(decided.submission, ErrorCode::quarantined,
                   "The database refused what the market had decided. It was logged; nothing was changed.");
    decided.submission.done(reply, false);
    if (const auto* tick = std::get_if<market::Tick>(&decided.submission.command)) {
        ticks_alone_ = true;
        if (tick->only) set_aside_.insert(*tick->only);
    }
}

/// Another leader has taken over: what waits is refused, and the state is read again once the row is ours.
void Writer::step_down(std::unique_lock<std::mutex>& lock, const std::string& detail) {
    accepting_ = false;
    leading_ = false;
    lost_ = false;
    confirmed_at_ms_ = 0;
    std::vector<Submission> refused;
    for (auto& group : forced_)
        for (Submission& submission : group)
            refused.push_back(std::move(submission));
    for (Submission& submission : queue_)
        refused.push_back(std::move(submission));
    forced_.clear();
    forced_size_ = 0;
    queue_.clear();
    lock.unlock();
    log("error", "another leader has taken the market over: " + detail);
    for (Submission& submission : refused)
        submission.done(
            refusal_of(submission, ErrorCode::not_leader, "The market's leader has changed: try again."),
            false);
    lead_again();
    lock.lock();
    accepting_ = leading_ && !stopping_;
}

void Writer::lead_again() {
    while (!is_stopping()) {
        try {
            deps_.store.reconnect();
            lead();
            load();
            return;
        } catch (const std::exception& error) {
            log("error", std::string("the market could not be read again: ") + error.what());
        }
        {
            // The row may be ours by now: without a beat it becomes free, for us as for others.
            const std::lock_guard lock(mutex_);
            leading_ = false;
            confirmed_at_ms_ = 0;
        }
        pause();
    }
}

void Writer::submit_timers() {
    const Time now = deps_.now();
    for (const HostId host : presence_.lost(now, config_.host_lost))
        submit_internal(market::HostLost{host});
    if (ticks_pending_ == 0) submit_ticks(now);
}

void Writer::submit_ticks(Time now) {
    const auto& due = state_->due();
    if (ticks_alone_) {
        for (const auto& [deadline, id] : due) {
            if (deadline > now || ticks_pending_ >= config_.rules.due_per_tick_max) break;
            if (!set_aside_.contains(id)) submit_internal(market::Tick{id});
        }
        return;
    }
    const bool is_due = !due.empty() && due.begin()->first <= now;
    const bool may_match =
        !state_->demands().empty() && !state_->offers().empty() && now - last_tick_ >= match_every;
    if (!is_due && !may_match) return;
    last_tick_ = now;
    submit_internal(market::Tick{});
}

/// Rows that no later command can change leave the memory once they are durable; the database keeps them.
void Writer::forget_final_rows(const DecidedBatch& batch) {
    for (const market::Entry& entry : batch.entries)
        if (entry.after) market::forget_if_final(*state_, *entry.after);
}

}  // namespace fallow::engine
