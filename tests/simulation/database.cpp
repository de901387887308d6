#include "simulation/database.hpp"

namespace fallow::sim {

using engine::CommitOutcome;
using engine::CommitResult;

void Database::stop() {
    world_.note("the database stops");
    is_up_ = false;
    ++starts_;
}

void Database::start() {
    world_.note("the database starts");
    is_up_ = true;
}

std::optional<engine::Leadership> Database::take(const engine::Candidate& candidate, Millis stale_after) {
    const bool is_fresh = world_.now() - beat_at_ <= stale_after;
    const bool has_ended = candidate.is_new_there && candidate.address == address_;
    if (!holder_.empty() && is_fresh && !has_ended) return std::nullopt;
    holder_ = candidate.name;
    address_ = candidate.address;
    ++epoch_;
    beat_at_ = world_.now();
    taken_at_ = world_.now();
    world_.note("{} leads with epoch {}", holder_, epoch_);
    return engine::Leadership{epoch_, sequence_, chain_, journal_.empty() ? Time() : journal_.back().at};
}

bool Database::beat(std::int64_t epoch) {
    if (epoch != epoch_) return false;
    beat_at_ = world_.now();
    return true;
}

void Database::give_up(std::int64_t epoch) {
    if (epoch == epoch_) holder_.clear();
}

engine::LoadedMarket Database::load() const {
    engine::LoadedMarket loaded = rows_.load();
    loaded.recent_keys = keys_;
    return loaded;
}

const engine::IdempotencyRecord* Database::find(const engine::IdempotencyKey& key) const {
    const auto at = known_keys_.find(name_of(key));
    return at == known_keys_.end() ? nullptr : &keys_[at->second];
}

bool Database::is_leaders(const engine::JournalRecord& journal) const {
    return journal.epoch == epoch_ && journal.sequence == sequence_ + 1;
}

void Database::check_unique(const engine::Batch& batch) const {
    std::set<std::string> here;
    for (const engine::IdempotencyRecord& key : batch.idempotency)
        if (known_keys_.contains(name_of(key)) || !here.insert(name_of(key)).second)
            throw testing::ConstraintViolated("idempotency_keys_once");
    for (const engine::Receipt& receipt : batch.receipts)
        if (receipts_.contains(receipt.lease)) throw testing::ConstraintViolated("receipts_pkey");
}

CommitResult Database::write(const engine::Batch& batch) {
    if (!is_leaders(batch.journal)) return {CommitOutcome::stale, "another epoch or sequence"};
    try {
        if (poison && poison(batch.changes)) throw testing::ConstraintViolated("poisoned");
        check_unique(batch);
        rows_.apply(batch.changes);
        try {
            rows_.check();
        } catch (...) {
            rows_.roll_back();
            throw;
        }
    } catch (const testing::ConstraintViolated& refusal) {
        return {CommitOutcome::refused, refusal.what()};
    }
    for (const engine::IdempotencyRecord& key : batch.idempotency) {
        known_keys_.emplace(name_of(key), keys_.size());
        keys_.push_back(key);
    }
    for (const engine::Receipt& receipt : batch.receipts)
        receipts_.emplace(receipt.lease, receipt);
    journal_.push_back(batch.journal);
    sequence_ = batch.journal.sequence;
    chain_ = batch.journal.chain_hex;
    beat_at_ = world_.now();
    world_.note("journal {} of epoch {}: {}", sequence_, epoch_, chain_.substr(0, 12));
    if (on_committed) on_committed(batch);
    return {CommitOutcome::committed, {}};
}

CommitResult Database::commit(const engine::Batch& batch) {
    const std::int64_t fate = world_.is_calm ? 1000 : world_.random.between(1, 1000);
    if (fate <= 6) {
        world_.note("a commit fails");
        world_.hit("fault commit_failed");
        return {CommitOutcome::failed, "canceling statement due to statement timeout"};
    }
    if (fate <= 12) {
        const CommitResult result = write(batch);
        world_.note("the answer to a COMMIT is lost");
        world_.hit("fault commit_unknown_applied");
        return result.outcome == CommitOutcome::stale ? result : CommitResult{CommitOutcome::unknown, ""};
    }
    if (fate <= 18) {
        world_.note("a connection breaks before COMMIT");
        world_.hit("fault commit_unknown_lost");
        return {CommitOutcome::unknown, ""};
    }
    if (fate <= 24) {
        // Its bytes lie in the backend's socket: it will begin when the leader has given up waiting.
        world_.note("a batch is late");
        world_.hit("fault commit_unknown_late");
        world_.after(world_.random.span(1, 3000), [this, batch] {
            const CommitResult result = write(batch);
            world_.note("the late batch {}: {}", batch.journal.sequence,
                        result.outcome == CommitOutcome::committed ? "written" : result.detail);
        });
        return {CommitOutcome::unknown, ""};
    }
    return write(batch);
}

CommitOutcome Database::resolve(const engine::JournalRecord& asked) const {
    for (const engine::JournalRecord& record : journal_)
        if (record.sequence == asked.sequence)
            return record.epoch == asked.epoch && record.chain_hex == asked.chain_hex
                       ? CommitOutcome::committed
                       : CommitOutcome::stale;
    return asked.epoch == epoch_ ? CommitOutcome::failed : CommitOutcome::stale;
}

void Session::require_open() const {
    if (is_broken_ || !database_.is_up() || opened_at_start_ != database_.starts())
        throw std::runtime_error("the connection is closed");
}

std::optional<engine::Leadership> Session::take_leadership(const std::string&,
                                                           const engine::Candidate& candidate,
                                                           Millis stale_after) {
    require_open();
    return database_.take(candidate, stale_after);
}

bool Session::beat(const std::string&, std::int64_t epoch) {
    require_open();
    return database_.beat(epoch);
}

void Session::release_leadership(const std::string&, std::int64_t epoch) {
    require_open();
    database_.give_up(epoch);
}

engine::LoadedMarket Session::load(const std::string&) {
    require_open();
    return database_.load();
}

CommitResult Session::commit(const engine::Batch& batch) {
    try {
        require_open();
    } catch (const std::exception& error) {
        return {CommitOutcome::failed, error.what()};
    }
    const CommitResult result = database_.commit(batch);
    is_broken_ = result.outcome == CommitOutcome::unknown;
    return result;
}

CommitOutcome Session::resolve(const engine::JournalRecord& journal) {
    require_open();
    return database_.resolve(journal);
}

void Session::reconnect() {
    if (!database_.is_up()) throw std::runtime_error("connection refused");
    opened_at_start_ = database_.starts();
    is_broken_ = false;
}

}  // namespace fallow::sim
