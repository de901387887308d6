// The committing thread and the beat thread of the Writer.
#include <chrono>

#include "engine/journal.hpp"
#include "engine/writer.hpp"

namespace fallow::engine {
namespace {

constexpr std::chrono::milliseconds retry_pause{200};

}  // namespace

/// `asked` is when the request was sent: the database has confirmed the epoch at that time or later.
void Writer::confirm(Time asked) {
    confirmed_at_ms_ = std::max(confirmed_at_ms_.load(), asked.ms);
}

void Writer::pause() {
    std::unique_lock lock(mutex_);
    commit_wake_.wait_for(lock, retry_pause, [this] { return stopping_; });
}

void Writer::commit_loop() {
    while (true) {
        {
            std::unique_lock lock(mutex_);
            commit_wake_.wait(
                lock, [this] { return slot_ == Slot::committing || (stopping_ && !decider_alive_); });
            if (slot_ != Slot::committing) return;
        }
        CommitResult result{CommitOutcome::committed, {}};
        if (in_flight_.writes()) result = commit(in_flight_);
        if (result.outcome == CommitOutcome::committed) announce(in_flight_);
        {
            const std::lock_guard lock(mutex_);
            result_ = std::move(result);
            slot_ = Slot::done;
        }
        wake_.notify_one();
    }
}

CommitResult Writer::commit(DecidedBatch& decided) {
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

    const auto begun = std::chrono::steady_clock::now();
    const Time asked = deps_.now();
    CommitResult result = deps_.store.commit(batch);
    if (result.outcome == CommitOutcome::unknown) result = resolve_unknown(batch.journal);
    if (result.outcome == CommitOutcome::failed) {
        log("error", "a batch was not committed and is decided again: " + result.detail);
        try {
            deps_.store.reconnect();
        } catch (const std::exception& error) {
            log("error", std::string("the database is out of reach: ") + error.what());
        }
        pause();
    }
    if (result.outcome != CommitOutcome::committed) return result;

    leadership_.sequence = batch.journal.sequence;
    leadership_.chain_hex = batch.journal.chain_hex;
    leadership_.last_journal_at = batch.journal.at;
    sequence_ = batch.journal.sequence;
    {
        const std::lock_guard lock(mutex_);
        confirm(asked);
    }
    ++batches_;
    commands_ += decided.commands.size();
    const auto spent = std::chrono::steady_clock::now() - begun;
    if (deps_.on_batch)
        deps_.on_batch(decided.commands.size(),
                       std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
    return result;
}

/// The connection broke during COMMIT. The journal, read under the leader row's lock, says what became of
/// it.
CommitResult Writer::resolve_unknown(const JournalRecord& journal) {
    log("error", "the outcome of a commit is unknown; reading the journal");
    while (true) {
        try {
            deps_.store.reconnect();
            return CommitResult{deps_.store.resolve(journal), "resolved from the journal"};
        } catch (const std::exception& error) {
            log("error", std::string("the database is out of reach: ") + error.what());
        }
        pause();
        if (is_stopping())
            return CommitResult{CommitOutcome::failed, "stopped before the outcome was known"};
    }
}

void Writer::announce(DecidedBatch& batch) {
    if (!batch.entries.empty())
        for (const std::string& topic : topics_of(batch.entries))
            deps_.hub.publish(topic);
    for (Decided& decided : batch.commands)
        decided.submission.done(std::move(decided.reply), decided.replayed);
}

void Writer::beat_loop() {
    while (true) {
        std::int64_t epoch = 0;
        {
            std::unique_lock lock(mutex_);
            commit_wake_.wait_for(lock, std::chrono::milliseconds(config_.beat.count),
                                  [this] { return stopping_; });
            if (stopping_) return;
            if (!leading_) continue;
            epoch = epoch_;
        }
        try {
            const Time asked = deps_.now();
            const bool is_ours = deps_.beat_store.beat(config_.market, epoch);
            const std::lock_guard lock(mutex_);
            if (!leading_ || epoch != epoch_) continue;
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
}

}  // namespace fallow::engine
