// The single writer's logic, one step at a time: it has no thread, no clock and never waits. Three roles
// drive it, each by one thread at a time: deciding, committing, beating. Runner gives each a thread; the
// simulation plays all three. Steps that talk to the database ask it one question each.
//
// The deciding role turns queued commands into a growing batch while the committing role makes the one
// before it durable; then the batch is handed over. Nothing of a batch leaves before its commit, so
// refusals wait for it too. If batch n fails, n+1 and n are undone in memory and decided again: halved when
// the database refused it, until the one poisoned command stands alone.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <set>

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

    // --- any thread

    [[nodiscard]] Status submit(Submission submission);
    /// True when a command is queued, because the host was not believed to be online or to be there.
    /// `address`: the public one that the host was heard from, empty if it was another; nothing: not known.
    bool heartbeat(HostId host, const std::optional<std::string>& address = {});
    /// From now on nothing is queued, and a batch whose commit fails is not tried again.
    void drain();
    [[nodiscard]] bool is_draining() const;
    /// Whether submit() would take a command, as far as the room in the queue allows.
    [[nodiscard]] bool is_accepting() const;
    [[nodiscard]] std::optional<std::int64_t> confirmed_epoch() const;
    [[nodiscard]] EngineStats stats() const;

    // --- the deciding role

    /// Takes the leader row if nobody fresh has it. Throws what the store throws.
    [[nodiscard]] bool take_row();
    /// After take_row(): makes the market warm, or reads it, and begins to accept commands. Throws.
    void load();
    /// take_row() or load() threw: without a beat the row becomes free, for us as for others. Asks for a
    /// new connection.
    void let_go(const std::string& why);
    [[nodiscard]] bool is_leading() const;
    /// One step: what came of a commit, a lost epoch, some commands, a batch handed over. False: nothing to
    /// do.
    bool decide();
    /// Queues what time has made due. Called when there is nothing to decide.
    void run_timers();
    /// Nothing is in flight: with nothing to decide either, a draining writer may be destroyed.
    [[nodiscard]] bool is_settled() const;
    /// Gives the leader row up, if it is ours, so that a successor need not wait.
    void release();

    // --- the committing role

    /// A batch was handed over and is not settled.
    [[nodiscard]] bool has_batch() const;
    enum class Commit {
        known,         ///< go on with settle()
        failed,        ///< known, and better not repeated at once: settle() after a pause
        unknown,       ///< the connection broke during COMMIT: commit() again asks the journal
        out_of_reach,  ///< still unknown, and nobody to ask: commit() again after a pause
    };
    /// One question to the database about that batch.
    [[nodiscard]] Commit commit();
    /// Instead of asking on, when there is no more time: the batch counts as failed.
    void give_commit_up();
    /// Answers the callers of a committed batch and gives the slot back to the deciding role. The number of
    /// commands that were written.
    std::size_t settle();

    // --- the beating role

    /// Renews the leader row's beat, if it is ours.
    void beat();

  private:
    enum class Slot { empty, committing, done };
    enum class Turn { none, commit_done, epoch_lost, some_commands, full_batch };

    [[nodiscard]] Turn next_turn() const;
    [[nodiscard]] bool has_work() const;
    void decide_some();
    void decide_one(Submission submission, DecidedBatch& batch);
    bool answer_twin(Submission& submission, DecidedBatch& batch);
    void hand_over();
    void on_commit_done();
    void on_commit_failed(DecidedBatch failed, const CommitResult& result);
    void undo_batch(DecidedBatch& batch);
    void requeue(DecidedBatch batch, CommitOutcome outcome);
    void refuse_all(DecidedBatch batch, ErrorCode code, const std::string& detail);
    void quarantine(Decided& decided, const std::string& detail);
    void step_down(const std::string& detail);
    void submit_ticks(Time now);
    void submit_internal(market::Command command);
    void forget_final_rows(const DecidedBatch& batch);
    void publish_stats();

    [[nodiscard]] Batch rows_of(const DecidedBatch& decided) const;
    void note_committed();

    void confirm(Time asked);
    void log(const std::string& level, const std::string& message) const;

    EngineConfig config_;
    EngineDeps deps_;

    mutable std::mutex mutex_;  ///< for the next five, and for handing in_flight_ over
    std::deque<Submission> queue_;
    bool draining_ = false;
    bool leading_ = false;  ///< the leader row is ours: only then is its beat renewed
    bool accepting_ = false;
    bool lost_ = false;  ///< the beat found another epoch in the leader row
    Slot slot_ = Slot::empty;

    // of the deciding role
    bool has_asked_for_row_ = false;
    std::deque<std::vector<Submission>> forced_;  ///< parts of failed batches, decided before the queue
    std::optional<market::State> state_;
    DecidedBatch growing_;
    ReplyCache replies_;
    Time last_now_;
    Time last_tick_;
    Time last_timers_;
    /// After the database refused a tick, each deadline becomes a command of its own, and one that is
    /// refused by itself is left alone until somebody has looked and a leader starts anew.
    bool ticks_alone_ = false;
    std::set<market::DueId> set_aside_;

    // of the committing role while slot_ is `committing`, else of the deciding one
    DecidedBatch in_flight_;
    Batch rows_;
    std::optional<CommitResult> result_;
    Time asked_at_;  ///< when the commit was sent: the database confirmed the epoch then or later
    Leadership leadership_;

    Presence presence_;
    std::atomic<std::size_t> forced_size_{0};
    std::atomic<std::int64_t> epoch_{0};
    std::atomic<std::int64_t> confirmed_at_ms_{0};
    std::atomic<std::int64_t> sequence_{0};
    std::atomic<std::size_t> active_leases_{0};
    std::atomic<std::size_t> standing_orders_{0};
    std::atomic<std::uint64_t> batches_{0};
    std::atomic<std::uint64_t> commands_{0};
    std::atomic<std::uint64_t> quarantined_{0};
    std::atomic<std::size_t> ticks_pending_{0};
};

}  // namespace fallow::engine
