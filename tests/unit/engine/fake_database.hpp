// A database with a script: what becomes of the next commits, and when. Two stores over one database stand
// for the engine's two connections.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>

#include "engine/journal.hpp"
#include "engine/store.hpp"
#include "support/memory_database.hpp"

namespace fallow::testing {

/// What a commit comes to; `good` is the end of every script.
enum class Fate { good, failed, lost_before, lost_after };

class FakeDatabase {
  public:
    explicit FakeDatabase(MemoryDatabase rows) : rows_(std::move(rows)) {}

    // --- the test's side

    /// The next commits, in their order; after them all is well.
    void script(std::vector<Fate> fates) {
        const std::lock_guard lock(mutex_);
        script_.insert(script_.end(), fates.begin(), fates.end());
    }
    /// Commits from now on wait in the middle.
    void hold() {
        const std::lock_guard lock(mutex_);
        is_held_ = true;
    }
    /// Lets `count` commits that wait, or will, go on.
    void let(int count) {
        const std::lock_guard lock(mutex_);
        allowed_ += count;
        changed_.notify_all();
    }
    void release() {
        const std::lock_guard lock(mutex_);
        is_held_ = false;
        changed_.notify_all();
    }
    /// A batch that fits is refused, as by a constraint.
    void refuse(std::function<bool(const market::Changes&)> poison) {
        const std::lock_guard lock(mutex_);
        poison_ = std::move(poison);
    }
    /// Another leader takes the row and keeps it until it dies.
    void usurp() {
        const std::lock_guard lock(mutex_);
        ++epoch_;
        holder_ = "another";
        usurped_ = true;
    }
    void usurper_dies() {
        const std::lock_guard lock(mutex_);
        usurped_ = false;
        beat_at_ = {};
    }
    void fail_loads(int count) {
        const std::lock_guard lock(mutex_);
        failing_loads_ = count;
    }
    void fail_reconnects(int count) {
        const std::lock_guard lock(mutex_);
        failing_reconnects_ = count;
    }
    void silence_beats(bool silent) {
        const std::lock_guard lock(mutex_);
        beats_fail_ = silent;
    }
    /// Waits for something to become true; a test that would wait for ever fails.
    template <class Condition>
    [[nodiscard]] bool wait_until(Condition condition) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return condition(*this); });
    }
    [[nodiscard]] bool wait_for_commits(int begun) {
        return wait_until([begun](const FakeDatabase& db) { return db.commits_begun_ >= begun; });
    }
    template <class Row>
    [[nodiscard]] bool wait_for_row(std::function<bool(const Row&)> condition) {
        return wait_until([&](const FakeDatabase& db) {
            for (const auto& [key, row] : db.rows_.template rows<Row>())
                if (condition(row)) return true;
            return false;
        });
    }
    [[nodiscard]] MemoryDatabase rows() const {
        const std::lock_guard lock(mutex_);
        return rows_;
    }
    [[nodiscard]] std::vector<engine::JournalRecord> journal() const {
        const std::lock_guard lock(mutex_);
        return journal_;
    }
    [[nodiscard]] std::vector<engine::Receipt> receipts() const {
        const std::lock_guard lock(mutex_);
        return receipts_;
    }
    [[nodiscard]] std::vector<engine::IdempotencyRecord> keys() const {
        const std::lock_guard lock(mutex_);
        return keys_;
    }
    [[nodiscard]] int commits_begun() const {
        const std::lock_guard lock(mutex_);
        return commits_begun_;
    }
    [[nodiscard]] int reconnects() const {
        const std::lock_guard lock(mutex_);
        return reconnects_;
    }
    [[nodiscard]] int loads() const {
        const std::lock_guard lock(mutex_);
        return loads_;
    }
    [[nodiscard]] std::string holder() const {
        const std::lock_guard lock(mutex_);
        return holder_;
    }
    void forget_recent_keys() {
        const std::lock_guard lock(mutex_);
        offers_recent_keys_ = false;
    }

    // --- the stores' side

    std::optional<engine::Leadership> take(const engine::Candidate& candidate, Millis stale_after) {
        const std::lock_guard lock(mutex_);
        const bool is_fresh = Clock::now() - beat_at_ < std::chrono::milliseconds(stale_after.count);
        const bool has_ended =
            candidate.is_new_there && !candidate.address.empty() && candidate.address == address_;
        if (usurped_ || (!holder_.empty() && is_fresh && !has_ended)) return std::nullopt;
        holder_ = candidate.name;
        address_ = candidate.address;
        ++epoch_;
        beat_at_ = Clock::now();
        return engine::Leadership{epoch_, sequence_, chain_,
                                  journal_.empty() ? Time() : journal_.back().at};
    }
    bool beat(std::int64_t epoch) {
        const std::lock_guard lock(mutex_);
        if (beats_fail_) throw std::runtime_error("the beat's connection is broken");
        if (epoch != epoch_) return false;
        beat_at_ = Clock::now();
        return true;
    }
    void give_up(std::int64_t epoch) {
        const std::lock_guard lock(mutex_);
        if (epoch == epoch_) holder_.clear();
    }
    engine::LoadedMarket load() {
        const std::lock_guard lock(mutex_);
        if (failing_loads_ > 0) {
            --failing_loads_;
            throw std::runtime_error("the market cannot be read");
        }
        ++loads_;
        changed_.notify_all();
        engine::LoadedMarket loaded = rows_.load();
        if (offers_recent_keys_) loaded.recent_keys = keys_;
        loaded.position = {sequence_, chain_, journal_.empty() ? Time() : journal_.back().at};
        return loaded;
    }
    engine::CommitResult commit(const engine::Batch& batch) {
        std::unique_lock lock(mutex_);
        ++commits_begun_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !is_held_ || allowed_ > 0; });
        if (is_held_) --allowed_;
        const Fate fate = script_.empty() ? Fate::good : script_.front();
        if (!script_.empty()) script_.pop_front();
        if (batch.journal.epoch != epoch_ || batch.journal.sequence != sequence_ + 1)
            return {engine::CommitOutcome::stale, "another epoch or sequence"};
        if (fate == Fate::failed) return {engine::CommitOutcome::failed, "scripted"};
        try {
            if (poison_ && poison_(batch.changes)) throw ConstraintViolated("scripted");
            if (fate == Fate::lost_before) return {engine::CommitOutcome::unknown, "scripted"};
            write(batch);
        } catch (const ConstraintViolated& error) {
            return {engine::CommitOutcome::refused, error.what()};
        }
        changed_.notify_all();
        if (fate == Fate::lost_after) return {engine::CommitOutcome::unknown, "scripted"};
        return {engine::CommitOutcome::committed, {}};
    }
    engine::CommitOutcome resolve(const engine::JournalRecord& asked) {
        const std::lock_guard lock(mutex_);
        for (const engine::JournalRecord& record : journal_)
            if (record.sequence == asked.sequence)
                return record.epoch == asked.epoch && record.chain_hex == asked.chain_hex
                           ? engine::CommitOutcome::committed
                           : engine::CommitOutcome::stale;
        return asked.epoch == epoch_ ? engine::CommitOutcome::failed : engine::CommitOutcome::stale;
    }
    void reconnect() {
        const std::lock_guard lock(mutex_);
        ++reconnects_;
        changed_.notify_all();
        if (failing_reconnects_ == 0) return;
        --failing_reconnects_;
        throw std::runtime_error("the database is out of reach");
    }

  private:
    using Clock = std::chrono::steady_clock;

    void write(const engine::Batch& batch) {
        MemoryDatabase next = rows_;
        next.apply(batch.changes);
        next.check();
        for (const engine::IdempotencyRecord& key : batch.idempotency)
            if (!known_keys_.insert(key.organization.text() + key.route + ' ' + key.key).second)
                throw ConstraintViolated("idempotency_keys_once");
        rows_ = std::move(next);
        keys_.insert(keys_.end(), batch.idempotency.begin(), batch.idempotency.end());
        receipts_.insert(receipts_.end(), batch.receipts.begin(), batch.receipts.end());
        journal_.push_back(batch.journal);
        ++sequence_;
        chain_ = batch.journal.chain_hex;
        beat_at_ = Clock::now();
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    MemoryDatabase rows_;
    std::vector<engine::JournalRecord> journal_;
    std::vector<engine::Receipt> receipts_;
    std::vector<engine::IdempotencyRecord> keys_;
    std::set<std::string> known_keys_;
    std::deque<Fate> script_;
    std::function<bool(const market::Changes&)> poison_;
    bool is_held_ = false;
    int allowed_ = 0;
    int commits_begun_ = 0;
    int reconnects_ = 0;
    int loads_ = 0;
    int failing_loads_ = 0;
    int failing_reconnects_ = 0;
    bool beats_fail_ = false;
    bool offers_recent_keys_ = true;
    std::string holder_;
    std::string address_;
    bool usurped_ = false;
    std::int64_t epoch_ = 0;
    std::int64_t sequence_ = 0;
    std::string chain_;
    Clock::time_point beat_at_{};
};

class FakeStore final : public engine::MarketStore {
  public:
    explicit FakeStore(FakeDatabase& database) : database_(database) {}
    std::optional<engine::Leadership> take_leadership(const std::string&,
                                                      const engine::Candidate& candidate,
                                                      Millis stale_after) override {
        return database_.take(candidate, stale_after);
    }
    bool beat(const std::string&, std::int64_t epoch) override { return database_.beat(epoch); }
    void release_leadership(const std::string&, std::int64_t epoch) override { database_.give_up(epoch); }
    engine::LoadedMarket load(const std::string&) override { return database_.load(); }
    engine::CommitResult commit(const engine::Batch& batch) override { return database_.commit(batch); }
    engine::CommitOutcome resolve(const engine::JournalRecord& journal) override {
        return database_.resolve(journal);
    }
    void reconnect() override { database_.reconnect(); }

  private:
    FakeDatabase& database_;
};

}  // namespace fallow::testing
