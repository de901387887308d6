// PostgreSQL as the engine sees it, with what goes wrong there: commits that are refused, fail, whose
// outcome is lost, or that arrive when nobody waits for them any more; stalls and restarts. It enforces
// what the real one does: the leader row's compare-and-set, constraints, unique keys; and takes all of a
// batch or nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine/store.hpp"
#include "simulation/world.hpp"
#include "support/memory_database.hpp"

namespace fallow::sim {

class Database {
  public:
    explicit Database(World& world) : world_(world) {}

    // --- what the auditor and the readers of rows see

    [[nodiscard]] const testing::MemoryDatabase& rows() const { return rows_; }
    [[nodiscard]] const std::vector<engine::JournalRecord>& journal() const { return journal_; }
    /// The reply that is stored under a key, if there is one.
    [[nodiscard]] const engine::IdempotencyRecord* find(const engine::IdempotencyKey& key) const;
    [[nodiscard]] const std::map<LeaseId, engine::Receipt>& receipts() const { return receipts_; }
    [[nodiscard]] std::int64_t epoch() const { return epoch_; }
    /// When this epoch took the row.
    [[nodiscard]] Time taken_at() const { return taken_at_; }
    [[nodiscard]] bool is_up() const { return is_up_; }

    /// Called after each transaction with what it wrote.
    std::function<void(const engine::Batch&)> on_committed;

    // --- faults

    void stop();   ///< every session breaks
    void start();  ///< after stop()
    /// What is asked from now on is answered only then.
    void stall(Millis span) { stalled_until_ = world_.now() + span; }
    [[nodiscard]] Millis stalled_for() const { return std::max(Millis(0), stalled_until_ - world_.now()); }
    /// A constraint that the market knows nothing of refuses rows for which this is true.
    std::function<bool(const market::Changes&)> poison;

    // --- the sessions' side

    std::optional<engine::Leadership> take(const engine::Candidate& candidate, Millis stale_after);
    bool beat(std::int64_t epoch);
    void give_up(std::int64_t epoch);
    [[nodiscard]] engine::LoadedMarket load() const;
    engine::CommitResult commit(const engine::Batch& batch);
    [[nodiscard]] engine::CommitOutcome resolve(const engine::JournalRecord& asked) const;
    [[nodiscard]] std::uint64_t starts() const { return starts_; }

  private:
    bool is_leaders(const engine::JournalRecord& journal) const;
    engine::CommitResult write(const engine::Batch& batch);
    void check_unique(const engine::Batch& batch) const;
    template <class Key>
    static std::string name_of(const Key& key) {
        return key.organization.text() + ' ' + key.route + ' ' + key.key;
    }

    World& world_;
    testing::MemoryDatabase rows_;
    std::vector<engine::JournalRecord> journal_;
    std::vector<engine::IdempotencyRecord> keys_;
    std::map<std::string, std::size_t> known_keys_;  ///< places in keys_
    std::map<LeaseId, engine::Receipt> receipts_;
    bool is_up_ = true;
    std::uint64_t starts_ = 0;
    Time stalled_until_;
    std::string holder_;
    std::string address_;
    std::int64_t epoch_ = 0;
    std::int64_t sequence_ = 0;
    std::string chain_;
    Time beat_at_;
    Time taken_at_;
};

/// One connection; breaks with the database and does not come back by itself.
class Session final : public engine::MarketStore {
  public:
    explicit Session(Database& database)
        : database_(database), opened_at_start_(database.starts()), is_broken_(!database.is_up()) {}
    std::optional<engine::Leadership> take_leadership(const std::string&,
                                                      const engine::Candidate& candidate,
                                                      Millis stale_after) override;
    bool beat(const std::string&, std::int64_t epoch) override;
    void release_leadership(const std::string&, std::int64_t epoch) override;
    engine::LoadedMarket load(const std::string&) override;
    engine::CommitResult commit(const engine::Batch& batch) override;
    engine::CommitOutcome resolve(const engine::JournalRecord& journal) override;
    void reconnect() override;

  private:
    void require_open() const;
    Database& database_;
    std::uint64_t opened_at_start_;
    bool is_broken_;
};

}  // namespace fallow::sim
