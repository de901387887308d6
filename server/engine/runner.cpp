#include "engine/runner.hpp"

#include <stdexcept>

namespace fallow::engine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis retry_pause = Millis(200);
constexpr std::chrono::milliseconds idle_wake{200};

}  // namespace

Runner::Runner(EngineConfig config, EngineDeps deps)
    : beat_(config.beat), on_batch_(deps.on_batch), writer_(std::move(config), std::move(deps)) {}

bool Runner::pause(Millis span) {
    return !stop_.wait(0, std::chrono::milliseconds(span.count));
}

bool Runner::await_row() {
    const std::uint64_t seen = row_.count();
    if (!writer_.is_draining()) row_.wait(seen, std::chrono::milliseconds(beat_.count));
    return !writer_.is_draining();
}

Status Runner::submit(Submission submission) {
    Status queued = writer_.submit(std::move(submission));
    if (queued) work_.raise();
    return queued;
}

void Runner::heartbeat(HostId host, const std::optional<std::string>& address) {
    if (writer_.heartbeat(host, address)) work_.raise();
}

void Runner::start() {
    {
        const std::lock_guard lock(mutex_);
        if (stopped_) throw std::runtime_error("stopped before the start");
        starting_ = true;
    }
    // stop() waits for this, so that it never meets threads or a connection that start() is about to use.
    const auto end_of_start = [this] {
        const std::lock_guard lock(mutex_);
        starting_ = false;
        start_ended_.notify_all();
    };
    try {
        run_start();
    } catch (...) {
        end_of_start();
        throw;
    }
    end_of_start();
}

/// The beat begins before the market is read, which may take longer than a leader may be silent.
void Runner::run_start() {
    beater_ = std::thread([this] { beat_loop(); });
    if (!writer_.take_row()) {
        // Others lead for as long as they like; what the database says meanwhile is no reason to give up.
        lead_again();
        if (!writer_.is_leading()) throw std::runtime_error("stopped while waiting for the leader row");
    } else {
        writer_.load();
    }
    if (writer_.is_draining()) throw std::runtime_error("stopped while the market was read");
    decider_ = std::thread([this] { decide_loop(); });
    committer_ = std::thread([this] { commit_loop(); });
}

void Runner::stop() {
    {
        std::unique_lock lock(mutex_);
        if (stopped_) return;
        stopped_ = true;
        writer_.drain();
        stop_.raise();
        row_.raise();
        work_.raise();
        start_ended_.wait(lock, [this] { return !starting_; });
    }
    if (decider_.joinable()) decider_.join();
    if (committer_.joinable()) committer_.join();
    if (beater_.joinable()) beater_.join();
    writer_.release();
}

void Runner::decide_loop() {
    while (true) {
        const std::uint64_t seen = work_.count();
        // Asked first: once it drains, nothing is queued any more.
        const bool draining = writer_.is_draining();
        if (writer_.decide()) {
            batch_.raise();
            continue;
        }
        if (draining && writer_.is_settled()) break;
        if (!writer_.is_leading()) {
            lead_again();
            continue;
        }
        work_.wait(seen, idle_wake);
        writer_.run_timers();
    }
    decider_done_ = true;
    batch_.raise();
}

void Runner::lead_again() {
    while (await_row()) {
        try {
            if (!writer_.take_row()) continue;
            writer_.load();
            return;
        } catch (const std::exception& error) {
            writer_.let_go(error.what());
            pause(retry_pause);
        }
    }
}

void Runner::commit_loop() {
    while (true) {
        const std::uint64_t seen = batch_.count();
        const bool is_last = decider_done_;
        if (writer_.has_batch())
            commit_one();
        else if (is_last)
            return;
        else
            batch_.wait(seen);
    }
}

void Runner::commit_one() {
    const Clock::time_point begun = Clock::now();
    Writer::Commit came = writer_.commit();
    while (came == Writer::Commit::unknown || came == Writer::Commit::out_of_reach) {
        if (came == Writer::Commit::out_of_reach && !pause(retry_pause)) {
            writer_.give_commit_up();
            break;
        }
        came = writer_.commit();
    }
    const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun);
    if (came == Writer::Commit::failed) pause(retry_pause);
    const std::size_t written = writer_.settle();
    work_.raise();
    if (written > 0 && on_batch_) on_batch_(written, spent.count());
}

void Runner::beat_loop() {
    while (pause(beat_))
        writer_.beat();
}

}  // namespace fallow::engine
