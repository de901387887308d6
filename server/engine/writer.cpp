// The half of the Writer that decides: the queue, the growing batch, and what becomes of one that was not
// committed.
#include "engine/writer.hpp"

#include "market/decide.hpp"
#include "market/matching.hpp"

namespace fallow::engine {
namespace {

constexpr std::size_t replies_max = 16 * 1024;
constexpr Millis match_every = seconds(5);
constexpr Millis moves_apart = minutes(10);  ///< of one host, so that one of many addresses costs little

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

Status Writer::submit(Submission submission) {
    const std::lock_guard lock(mutex_);
    if (draining_)
        return refuse(ErrorCode::draining, "The server is shutting down: try another one, or try again.");
    if (!accepting_)
        return refuse(ErrorCode::not_leader, "The market is being taken over: try again in a second.");
    if (queue_.size() >= config_.queue_max)
        return refuse(ErrorCode::queue_full, "Too many commands are waiting: try again in a second.");
    queue_.push_back(std::move(submission));
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
    if (!accepting_ || draining_) return;
    if (is_tick) ++ticks_pending_;
    queue_.push_back(std::move(submission));
}

bool Writer::is_accepting() const {
    const std::lock_guard lock(mutex_);
    return accepting_ && !draining_;
}

void Writer::drain() {
    const std::lock_guard lock(mutex_);
    draining_ = true;
}

bool Writer::is_draining() const {
    const std::lock_guard lock(mutex_);
    return draining_;
}

bool Writer::is_leading() const {
    const std::lock_guard lock(mutex_);
    return leading_;
}

bool Writer::has_batch() const {
    const std::lock_guard lock(mutex_);
    return slot_ == Slot::committing;
}

bool Writer::is_settled() const {
    const std::lock_guard lock(mutex_);
    return slot_ == Slot::empty;
}

std::optional<std::int64_t> Writer::confirmed_epoch() const {
    const std::int64_t confirmed = confirmed_at_ms_;
    if (confirmed == 0 || deps_.now().ms - confirmed > config_.confirmed_within.count) return std::nullopt;
    return epoch_.load();
}

bool Writer::heartbeat(HostId host, const std::optional<std::string>& address) {
    const Time now = deps_.now();
    const bool is_back = presence_.heard(host, now);
    if (is_back) submit_internal(market::HostBack{host});
    const bool has_moved = address && presence_.has_moved(host, *address, now, moves_apart);
    if (has_moved) submit_internal(market::HostMoved{host, *address});
    return is_back || has_moved;
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
    standing_orders_ = state_->demands().size() + state_->bids().size();
}

bool Writer::has_work() const {
    if (growing_.forced) return false;
    if (!forced_.empty()) return growing_.commands.empty();
    return !queue_.empty() && growing_.commands.size() < config_.batch_max;
}

/// A batch that waits goes to an idle database before more is decided: as long as commands keep coming it
/// would not go at all.
Writer::Turn Writer::next_turn() const {
    const std::lock_guard lock(mutex_);
    if (slot_ == Slot::done) return Turn::commit_done;
    if (!leading_) return Turn::none;
    if (lost_ && slot_ == Slot::empty) return Turn::epoch_lost;
    if (slot_ == Slot::empty && !growing_.commands.empty()) return Turn::full_batch;
    if (has_work()) return Turn::some_commands;
    return Turn::none;
}

bool Writer::decide() {
    switch (next_turn()) {
        case Turn::none:
            return false;
        case Turn::commit_done:
            on_commit_done();
            return true;
        case Turn::epoch_lost:
            undo_batch(growing_);
            requeue(std::exchange(growing_, DecidedBatch{}), CommitOutcome::failed);
            step_down("the leader row has another epoch");
            return true;
        case Turn::some_commands:
            decide_some();
            return true;
        case Turn::full_batch:
            hand_over();
            return true;
    }
    return false;
}

void Writer::decide_some() {
    std::vector<Submission> taken;
    if (!forced_.empty()) {
        taken = std::move(forced_.front());
        forced_.pop_front();
        forced_size_ -= taken.size();
        growing_.forced = true;
    } else {
        const std::lock_guard lock(mutex_);
        while (!queue_.empty() && growing_.commands.size() + taken.size() < config_.batch_max) {
            taken.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
    }
    for (Submission& submission : taken)
        decide_one(std::move(submission), growing_);
    publish_stats();
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
    // It waited, and the host has been heard since: to take its leases now would be wrong.
    if (const auto* lost = std::get_if<market::HostLost>(&submission.command))
        if (presence_.is_back(lost->host)) submission.command = market::HostBack{lost->host};
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
    in_flight_ = std::exchange(growing_, DecidedBatch{});
    result_.reset();
    const std::lock_guard lock(mutex_);
    slot_ = Slot::committing;
}

void Writer::on_commit_done() {
    const CommitResult result = *std::exchange(result_, std::nullopt);
    DecidedBatch batch = std::exchange(in_flight_, DecidedBatch{});
    {
        const std::lock_guard lock(mutex_);
        slot_ = Slot::empty;
    }
    if (result.outcome == CommitOutcome::committed)
        forget_final_rows(batch);
    else
        on_commit_failed(std::move(batch), result);
    publish_stats();
}

/// n+1 was decided on top of n: both are taken back, the later one first.
void Writer::on_commit_failed(DecidedBatch failed, const CommitResult& result) {
    undo_batch(growing_);
    undo_batch(failed);
    DecidedBatch later = std::exchange(growing_, DecidedBatch{});
    if (is_draining() && result.outcome == CommitOutcome::failed) {
        for (DecidedBatch* batch : {&failed, &later})
            refuse_all(std::move(*batch), ErrorCode::draining,
                       "The server stopped before the command was known to be durable.");
        return;
    }
    requeue(std::move(later), CommitOutcome::failed);
    if (result.outcome == CommitOutcome::stale) {
        requeue(std::move(failed), CommitOutcome::failed);
        step_down(result.detail);
    } else if (result.outcome == CommitOutcome::refused && failed.commands.size() == 1) {
        quarantine(failed.commands.front(), result.detail);
    } else {
        requeue(std::move(failed), result.outcome);
    }
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
    if (deps_.on_quarantined) deps_.on_quarantined();
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

/// Another leader has taken over: what waits is refused, and the market is read again once the row is ours.
void Writer::step_down(const std::string& detail) {
    std::vector<Submission> refused;
    for (auto& group : forced_)
        for (Submission& submission : group)
            refused.push_back(std::move(submission));
    forced_.clear();
    forced_size_ = 0;
    {
        const std::lock_guard lock(mutex_);
        accepting_ = false;
        leading_ = false;
        lost_ = false;
        confirmed_at_ms_ = 0;
        for (Submission& submission : queue_)
            refused.push_back(std::move(submission));
        queue_.clear();
    }
    log("error", "another leader has taken the market over: " + detail);
    for (Submission& submission : refused)
        submission.done(
            refusal_of(submission, ErrorCode::not_leader, "The market's leader has changed: try again."),
            false);
}

void Writer::run_timers() {
    {
        const std::lock_guard lock(mutex_);
        if (!accepting_) return;
    }
    const Time now = deps_.now();
    // Heartbeats are taken only while the database confirms the epoch, and by a process that runs: what was
    // not heard in between says nothing of the hosts.
    if (!confirmed_epoch() || now - last_timers_ > config_.confirmed_within)
        presence_.excuse(now - last_timers_, now);
    last_timers_ = now;
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
    const bool may_match = now - last_tick_ >= match_every && market::has_pair(*state_);
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
