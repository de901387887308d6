// The half of the Writer that talks to the database: the leader row, the market's first reading, the
// commits.
#include <algorithm>

#include "engine/journal.hpp"
#include "engine/writer.hpp"

namespace fallow::engine {
namespace {

/// What the batch changed, in its order.
std::vector<CommittedRow> committed_rows(const DecidedBatch& batch) {
    std::vector<CommittedRow> rows;
    for (const market::Entry& entry : batch.entries) {
        const market::AnyRow& row = entry.after ? *entry.after : *entry.before;
        if (market::search::is_indexed(row)) rows.push_back({row, !entry.after});
    }
    return rows;
}

/// Its agent knows of a lease, and comes back within the fence. One that has not accepted its only lease
/// may take its time like an idle one, for which it still takes itself.
bool is_at_work(const market::State& state, HostId host) {
    return std::ranges::any_of(state.live_leases_of(host), [&](LeaseId id) {
        const market::LeaseState at = state.at<market::Lease>(id).state;
        return at != market::LeaseState::allocated && at != market::LeaseState::ended;
    });
}

/// By when hosts without leases have had the time to come back.
Time idle_back_by(const market::State& state, Time now) {
    const auto expected = std::ranges::count_if(
        state.table<market::Host>(), [](const auto& entry) { return is_believed_online(entry.second); });
    return now + idle_return(static_cast<std::size_t>(expected));
}

}  // namespace

/// `asked` is when the request was sent: the database has confirmed the epoch at that time or later.
void Writer::confirm(Time asked) {
    confirmed_at_ms_ = std::max(confirmed_at_ms_.load(), asked.ms);
}

/// The row is bumped before the state is read: from then on nobody else writes.
bool Writer::take_row() {
    const Time asked = deps_.now();
    // Asked once: should two servers be given one address, neither takes the row from the other for ever.
    const Candidate candidate{config_.holder, deps_.address ? deps_.address() : std::string(),
                              !has_asked_for_row_};
    auto taken = deps_.store.take_leadership(config_.market, candidate, config_.stale_after);
    has_asked_for_row_ = true;
    if (!taken) return false;
    leadership_ = std::move(*taken);
    const std::lock_guard lock(mutex_);
    epoch_ = leadership_.epoch;
    sequence_ = leadership_.sequence;
    leading_ = true;
    lost_ = false;
    confirm(asked);
    return true;
}

void Writer::load() {
    std::optional<WarmMarket> warm = deps_.warm ? deps_.warm(leadership_) : std::nullopt;
    if (!warm) {
        LoadedMarket loaded = deps_.store.load(config_.market);
        warm.emplace(WarmMarket{state_of(loaded, config_.rules), std::move(loaded.recent_keys)});
    }
    state_.emplace(std::move(warm->state));
    // 0 is both the journal's beginning and that nothing was read yet.
    const std::int64_t seen = deps_.committed != nullptr ? deps_.committed->sequence() : 0;
    if (deps_.committed != nullptr && (seen == 0 || seen != leadership_.sequence))
        deps_.committed->reset(*state_, leadership_.sequence);
    replies_.clear();
    for (const IdempotencyRecord& record : warm->recent_keys)
        replies_.add(record);
    presence_.clear();
    const Time now = deps_.now();
    last_timers_ = now;
    const Time idle_by = idle_back_by(*state_, now);
    for (const auto& [id, host] : state_->table<market::Host>()) {
        const Time since = is_at_work(*state_, id) ? now : idle_by;
        if (is_believed_online(host)) presence_.expect(id, since);
        if (host.address) presence_.believe(id, *host.address);
    }
    last_now_ = std::max(last_now_, leadership_.last_journal_at);
    ticks_alone_ = false;
    set_aside_.clear();
    publish_stats();
    const std::lock_guard lock(mutex_);
    accepting_ = leading_ && !draining_;
}

void Writer::let_go(const std::string& why) {
    log("error", "the market could not be read again: " + why);
    {
        const std::lock_guard lock(mutex_);
        leading_ = false;
        confirmed_at_ms_ = 0;
    }
    try {
        deps_.store.reconnect();
    } catch (const std::exception& error) {
        log("error", std::string("the database is out of reach: ") + error.what());
    }
}

void Writer::release() {
    if (!is_leading()) return;
    try {
        deps_.store.release_leadership(config_.market, epoch_);
    } catch (const std::exception& error) {
        log("warn", std::string("the leader row could not be given up: ") + error.what());
    }
}

Batch Writer::rows_of(const DecidedBatch& decided) const {
    Batch batch;
    batch.changes = market::coalesce(decided.entries);
    batch.idempotency = decided.idempotency;
    batch.receipts = receipts_of(decided.entries, deps_.server_key, deps_.sign);
    batch.journal.market = config_.market;
    batch.journal.sequence = leadership_.sequence + 1;
    batch.journal.epoch = leadership_.epoch;
    batch.journal.at = decided.now;
    batch.journal.record = journal_text(decided.entries);
    batch.journal.chain_hex = next_chain(leadership_.chain_hex, batch.journal.record);
    return batch;
}

Writer::Commit Writer::commit() {
    if (!in_flight_.writes()) {
        result_ = CommitResult{CommitOutcome::committed, {}};
        return Commit::known;
    }
    if (!result_) {
        rows_ = rows_of(in_flight_);
        asked_at_ = deps_.now();
        result_ = deps_.store.commit(rows_);
        if (result_->outcome == CommitOutcome::unknown)
            log("error", "the outcome of a commit is unknown; reading the journal");
    } else {
        // The journal, read under the leader row's lock, says what became of it.
        try {
            deps_.store.reconnect();
            result_ = CommitResult{deps_.store.resolve(rows_.journal), "resolved from the journal"};
        } catch (const std::exception& error) {
            log("error", std::string("the database is out of reach: ") + error.what());
            return Commit::out_of_reach;
        }
    }
    if (result_->outcome == CommitOutcome::unknown) return Commit::unknown;
    if (result_->outcome != CommitOutcome::failed) return Commit::known;
    log("error", "a batch was not committed and is decided again: " + result_->detail);
    try {
        deps_.store.reconnect();
    } catch (const std::exception& error) {
        log("error", std::string("the database is out of reach: ") + error.what());
    }
    return Commit::failed;
}

void Writer::give_commit_up() {
    result_ = CommitResult{CommitOutcome::failed, "stopped before the outcome was known"};
}

void Writer::note_committed() {
    leadership_.sequence = rows_.journal.sequence;
    leadership_.chain_hex = std::move(rows_.journal.chain_hex);
    leadership_.last_journal_at = rows_.journal.at;
    sequence_ = leadership_.sequence;
    ++batches_;
    commands_ += in_flight_.commands.size();
    const std::lock_guard lock(mutex_);
    confirm(asked_at_);
}

std::size_t Writer::settle() {
    std::size_t written = 0;
    if (result_->outcome == CommitOutcome::committed) {
        if (in_flight_.writes()) {
            note_committed();
            written = in_flight_.commands.size();
        }
        if (in_flight_.writes() && deps_.committed != nullptr)
            deps_.committed->apply(leadership_.sequence, committed_rows(in_flight_));
        if (!in_flight_.entries.empty())
            for (const std::string& topic : topics_of(in_flight_.entries))
                deps_.publish(topic);
        for (Decided& decided : in_flight_.commands)
            decided.submission.done(std::move(decided.reply), decided.replayed);
    }
    const std::lock_guard lock(mutex_);
    slot_ = Slot::done;
    return written;
}

void Writer::beat() {
    std::int64_t epoch = 0;
    {
        const std::lock_guard lock(mutex_);
        if (!leading_) return;
        epoch = epoch_;
    }
    try {
        const Time asked = deps_.now();
        const bool is_ours = deps_.beat_store.beat(config_.market, epoch);
        const std::lock_guard lock(mutex_);
        if (!leading_ || epoch != epoch_) return;
        if (is_ours)
            confirm(asked);
        else
            lost_ = true;
    } catch (const std::exception& error) {
        log("error", std::string("the leader's beat failed: ") + error.what());
        try {
            deps_.beat_store.reconnect();
        } catch (const std::exception& again) {
            log("error", std::string("the database is out of reach: ") + again.what());
        }
    }
}

}  // namespace fallow::engine
