// Follows the leader of a market while this process does not lead it: who leads, and the market itself,
// kept warm by the journal. Readers on this server wait on the same topics as on the leader's. One step at
// a time: it has no thread and never waits; FollowerThread gives it one.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "engine/committed.hpp"
#include "engine/journal_source.hpp"
#include "engine/replica.hpp"

namespace fallow::engine {

struct FollowerConfig {
    std::string market = "main";
    std::string holder;  ///< names this process in the leader row
    market::Rules rules;
    Millis stale_after = Millis(1500);  ///< a leader whose beat is older may be replaced
    Millis fresh_within = seconds(2);   ///< how old the last look may be for what it saw to count
    Millis reload_pause = seconds(1);   ///< between two readings of the whole market
    std::int64_t records_per_read = 16;
    std::int64_t lag_max = 20'000;  ///< records; further behind, reading the market is quicker
};

struct FollowerDeps {
    JournalSource& source;
    std::function<void(const std::string& topic)> publish;
    std::function<void()> publish_all;
    std::function<Time()> now;
    std::function<void(const std::string& level, const std::string& message)> log;
    CommittedView* committed = nullptr;  ///< told of every record that is applied
};

struct KnownLeader {
    std::string holder;
    std::string address;
    std::int64_t epoch = 0;
    bool is_self = false;
};

/// What a look has seen.
struct Looked {
    bool is_free = false;  ///< nobody fresh holds the leader row: it may be taken
    bool is_own = false;   ///< this process holds it
    bool has_more = false;
};

class Follower {
  public:
    Follower(FollowerConfig config, FollowerDeps deps);

    // --- one thread

    /// Reads the leader row, and a bounded part of what the journal has new. Throws what the source throws.
    Looked look();
    /// Asks for a new connection. Throws.
    void reconnect();

    // --- any thread

    /// The leader, if it was seen alive just now.
    [[nodiscard]] std::optional<KnownLeader> leader() const;
    /// The leader row is ours: the market exactly as the record `leadership.sequence` left it, which is now
    /// the caller's to change. Nothing when this follower cannot vouch for it.
    [[nodiscard]] std::optional<market::State> take(const Leadership& leadership);
    /// The last record that was applied; 0 while nothing is followed.
    [[nodiscard]] std::int64_t sequence() const { return sequence_; }

  private:
    void remember(const LeaderRow& row, Time asked);
    void follow(const LeaderRow& row);
    void read_on(std::int64_t head);
    void reload();
    void drop(const std::string& why);

    const FollowerConfig config_;
    const FollowerDeps deps_;

    std::mutex work_mutex_;  ///< the source and the replica: look() and take() exclude each other
    std::optional<Replica> replica_;
    std::optional<Time> reloaded_at_;
    std::int64_t accounts_sequence_ = 0;
    std::atomic<std::int64_t> sequence_ = 0;

    mutable std::mutex seen_mutex_;
    LeaderRow seen_;
    Time seen_at_;
};

}  // namespace fallow::engine
