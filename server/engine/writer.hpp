// The two threads behind the Engine. The deciding thread turns queued commands into a growing batch while
// the committing thread makes the one before it durable; then the batch is handed over. Nothing of a batch
// leaves before its commit, so refusals wait for it too. If batch n fails, n+1 and n are undone in memory
// and decided again: halved when the database refused it, until the one poisoned command stands alone.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "engine/batch.hpp"
#include "engine/presence.hpp"
#include "engine/reply_cache.hpp"

namespace fallow::engine {

class Writer {
  public:
    Writer(EngineConfig config, EngineDeps deps);
    ~Writer() = default;
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void start();
    void stop();
    [[nodiscard]] Status submit(Submission submission);
    [[nodiscard]] std::optional<std::int64_t> confirmed_epoch() const;
    void heartbeat(HostId host);
    [[nodiscard]] EngineStats stats() const;

  private:
    enum class Slot { empty, committing, done };

    // deciding thread
    void decide_loop();
    void decide_some(std::unique_lock<std::mutex>& lock);
    void decide_one(Submission submission, DecidedBatch& batch);
    bool answer_twin(Submission& submission, DecidedBatch& batch);
    void hand_over();
    void on_commit_done(std::unique_lock<std::mutex>& lock);
    void on_commit_failed(std::unique_lock<std::mutex>& lock, DecidedBatch failed,
                          const CommitResult& result);
    void undo_batch(DecidedBatch& batch);
    void requeue(DecidedBatch batch, CommitOutcome outcome);
    void refuse_all(DecidedBatch batch, ErrorCode code, const std::string& detail);
    void quarantine(Decided& decided, const std::string& detail);
    void submit_timers();
    void submit_ticks(Time now);
    void submit_internal(market::Command command);
    void forget_final_rows(const DecidedBatch& batch);
    void publish_stats();
    void step_down(std::unique_lock<std::mutex>& lock, const std::string& detail);
    void lead_again();
    [[nodiscard]] bool has_work() const;

    // committing thread
    void commit_loop();
    [[nodiscard]] CommitResult commit(DecidedBatch& batch);
    [[nodiscard]] CommitResult resolve_unknown(const JournalRecord& journal);
    void announce(DecidedBatch& batch);
    void pause();

    // beat thread
    void beat_loop();

    void run_start();
    void confirm(Time asked);
    void lead();
    void load();
    void log(const std::string& level, const std::string& message) const;
    [[nodiscard]] bool is_stopping() const;

    EngineConfig config_;
    EngineDeps deps_;

    mutable std::mutex mutex_;
    std::condition_variable wake_;         ///< of the deciding thread
    std::condition_variable commit_wake_;  ///< of the committing and the beat thread, and of stop()
    std::deque<Submission> queue_;
    std::deque<std::vector<Submission>> forced_;  ///< parts of failed batches, decided before the queue
    std::size_t forced_size_ = 0;
    bool starting_ = false;
    bool stopping_ = false;
    bool stopped_ = false;
    bool leading_ = false;  ///< the leader row is ours: only then does the beat thread renew it
    bool accepting_ = false;
    bool decider_alive_ = true;
    bool lost_ = false;  ///< the beat found another epoch in the leader row

    // owned by the deciding thread
    std::optional<market::State> state_;
    DecidedBatch growing_;
    ReplyCache replies_;
    Time last_now_;
    Time last_tick_;
    /// After the database refused a tick, each deadline becomes a command of its own, and one that is
    /// refused by itself is left alone until somebody has looked and a leader starts anew.
    bool ticks_alone_ = false;
    std::set<market::DueId> set_aside_;

    // handed from one thread to the other under mutex_
    Slot slot_ = Slot::empty;
    DecidedBatch in_flight_;
    CommitResult result_;
    // owned by the committing thread while it runs
    Leadership leadership_;

    Presence presence_;
    std::atomic<std::int64_t> epoch_{0};
    std::atomic<std::int64_t> confirmed_at_ms_{0};
    std::atomic<std::int64_t> sequence_{0};
    std::atomic<std::size_t> active_leases_{0};
    std::atomic<std::size_t> standing_orders_{0};
    std::atomic<std::uint64_t> batches_{0};
    std::atomic<std::uint64_t> commands_{0};
    std::atomic<std::uint64_t> quarantined_{0};
    std::atomic<std::size_t> ticks_pending_{0};

    std::thread decider_;
    std::thread committer_;
    std::thread beater_;
};

}  // namespace fallow::engine
