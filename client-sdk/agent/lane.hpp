// A thread that does one thing at a time, given by the reconcile loop. What fails is said in the log and
// left to the next round; the lane stays busy for a while after a failure, so that a broken thing is not
// hammered at.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

namespace fallow::agent {

class Lane {
  public:
    /// `on_idle` is called from the lane's thread after each piece of work.
    Lane(std::string name, std::function<void()> on_idle);
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    [[nodiscard]] bool busy() const;
    /// What the lane is at, or an empty text.
    [[nodiscard]] std::string current() const;
    /// Precondition: not busy.
    void post(std::string what, std::function<void(std::stop_token)> work);
    /// From any thread. False, and nothing done, when it is busy.
    bool post_if_idle(std::string what, std::function<void(std::stop_token)> work);
    /// Asks the work under way, if any, to stop early.
    void interrupt();

  private:
    void begin(std::string what, std::function<void(std::stop_token)> work);
    void run(std::stop_token stop);
    void carry_out(std::unique_lock<std::mutex>& lock, std::stop_token stop);

    std::string name_;
    std::function<void()> on_idle_;
    mutable std::mutex mutex_;
    std::condition_variable_any wake_;
    std::string what_;
    std::function<void(std::stop_token)> work_;
    std::stop_source interrupt_;
    bool busy_ = false;
    int failures_ = 0;
    std::jthread thread_;  // last: it uses all of the above
};

}  // namespace fallow::agent
