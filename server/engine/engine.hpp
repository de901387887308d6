// engine/: the single writer of one market. One thread decides batches in memory, one commits them, and
// nobody is answered before the commit. It is not a database and not an HTTP layer: it knows a MarketStore
// and callbacks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "engine/committed.hpp"
#include "engine/store.hpp"
#include "market/commands.hpp"
#include "market/state.hpp"

namespace fallow::engine {

struct Reply {
    std::int32_t status = 0;
    std::string body;
};

struct IdempotencyKey {
    OrganizationId organization;
    std::string route;  ///< "POST /v1/orders"
    std::string key;
    std::string body_hash;  ///< lower-case hex SHA-256 of path and body
};

/// One command with what to do before and after its commit.
struct Submission {
    market::Command command;
    market::Caller caller;
    std::optional<IdempotencyKey> idempotency;
    /// Pure; called on the engine's thread when the command is decided, before the commit.
    std::function<Reply(const Result<market::Outcome>&)> encode;
    /// Called once, on an engine thread, after the commit (or with the reply that an earlier twin got).
    std::function<void(Reply, bool replayed)> done;
};

struct EngineConfig {
    std::string market = "main";
    std::string holder;  ///< names this process in the leader row
    market::Rules rules;
    Millis beat = Millis(500);
    Millis stale_after = Millis(1500);
    Millis confirmed_within = seconds(2);
    Millis host_lost = seconds(15);
    std::size_t queue_max = limits::engine_queue_max;
    std::size_t batch_max = limits::engine_batch_max;
};

/// What a follower that has kept up with the journal hands over, so that a new leader need not read the
/// market.
struct WarmMarket {
    market::State state;
    std::vector<IdempotencyRecord> recent_keys;  ///< as in LoadedMarket
};

/// The outside world, given by the composition root.
struct EngineDeps {
    MarketStore& store;       ///< used by the commit thread, and by start()
    MarketStore& beat_store;  ///< used by the beat thread
    /// Told the topics of every committed change, on the commit thread: "journal", "host/<id>", "job/<id>".
    std::function<void(const std::string& topic)> publish;
    /// The wall clock at the process's start plus steady time since: it never jumps.
    std::function<Time()> now;
    std::function<RawId()> random;
    /// Signs a receipt's bytes with the server key; base64.
    std::function<std::string(const std::string&)> sign;
    std::string server_key;  ///< base64, written into receipts
    std::function<void(const std::string& level, const std::string& message)> log;
    std::function<void(std::size_t commands, std::int64_t commit_us)> on_batch;  ///< for the metrics
    /// Asked once the leader row is ours: the market exactly as journal record `sequence` left it. Nothing,
    /// or no function: the market is read from the database. May throw; the row is then let go.
    std::function<std::optional<WarmMarket>(const Leadership&)> warm = {};
    /// Where other servers reach this one, asked when it takes the leader row; empty where there are none.
    std::function<std::string()> address = {};
    std::function<void()> on_quarantined = {};  ///< for the metrics
    CommittedView* committed = nullptr;         ///< told of what is committed, before its callers are
};

struct EngineStats {
    std::string holder;
    std::int64_t epoch = 0;
    std::int64_t sequence = 0;
    std::optional<Time> confirmed_at;
    std::size_t queue_depth = 0;
    std::size_t active_leases = 0;
    std::size_t standing_orders = 0;
    std::uint64_t batches = 0;
    std::uint64_t commands = 0;
    std::uint64_t quarantined = 0;
};

class Engine {
  public:
    Engine(EngineConfig config, EngineDeps deps);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Waits for the leader row, loads the market and starts the threads; throws when the database is out
    /// of reach.
    void start();
    /// Decides and commits what is queued, refuses what comes after with `draining`, gives the leader row
    /// up, so that another server may have it at once.
    void stop();

    /// Queues a command, or refuses at once: queue_full, draining, not_leader. Any thread.
    [[nodiscard]] Status submit(Submission submission);

    /// The epoch, if the database has confirmed it within the last 2 s: the condition for answering a
    /// heartbeat.
    [[nodiscard]] std::optional<std::int64_t> confirmed_epoch() const;
    /// Records a heartbeat in memory; a host that was unreachable, or is new, comes online by a command,
    /// and another address is noted by one. `address`: see Writer::heartbeat().
    void heartbeat(HostId host, const std::optional<std::string>& address = {});
    [[nodiscard]] EngineStats stats() const;
    [[nodiscard]] bool ready() const;
    /// Whether commands are taken here: this process leads, and does not stop.
    [[nodiscard]] bool accepts() const;
    /// The leader row was seen free: an engine that waits for it tries at once.
    void on_row_free();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::engine
