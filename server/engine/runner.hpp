// The three threads that drive a Writer: one decides, one commits, one renews the leader row's beat. What
// they do is the Writer's; here is only when, and how long to wait.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/signal.hpp"
#include "engine/writer.hpp"

namespace fallow::engine {

class Runner {
  public:
    Runner(EngineConfig config, EngineDeps deps);
    ~Runner() = default;
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    void start();
    void stop();
    [[nodiscard]] Status submit(Submission submission);
    void heartbeat(HostId host, const std::optional<std::string>& address);
    /// The leader row was seen free: who waits for it tries at once.
    void on_row_free() { row_.raise(); }
    [[nodiscard]] const Writer& writer() const { return writer_; }

  private:
    void run_start();
    void decide_loop();
    void lead_again();
    void commit_loop();
    void commit_one();
    void beat_loop();
    /// False when there is no time left: the engine stops.
    bool pause(Millis span);
    /// Until the leader row should be tried again; false when the engine stops.
    bool await_row();

    const Millis beat_;
    const std::function<void(std::size_t commands, std::int64_t commit_us)> on_batch_;
    Writer writer_;

    Signal work_;   ///< for the deciding thread: a command, or a commit that is done
    Signal batch_;  ///< for the committing thread: a batch was handed over, or there will be none
    Signal stop_;
    Signal row_;  ///< for who waits for the leader row: it is free, or the engine stops
    std::atomic<bool> decider_done_{false};

    std::mutex mutex_;
    std::condition_variable start_ended_;
    bool starting_ = false;
    bool stopped_ = false;

    std::thread decider_;
    std::thread committer_;
    std::thread beater_;
};

}  // namespace fallow::engine
