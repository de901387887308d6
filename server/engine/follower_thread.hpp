// The thread of a Follower: looks at the leader row all the time, and tells what it saw.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/follower.hpp"

namespace fallow::engine {

class FollowerThread {
  public:
    using Span = std::chrono::milliseconds;

    /// `on_look` is called from the thread after every look; it must not block.
    FollowerThread(Follower& follower, Span between_looks, std::function<void(const Looked&)> on_look,
                   std::function<void(const std::string& level, const std::string& message)> log);
    ~FollowerThread();
    FollowerThread(const FollowerThread&) = delete;
    FollowerThread& operator=(const FollowerThread&) = delete;

  private:
    void run();
    /// How long to wait for the next look.
    [[nodiscard]] Span look();
    [[nodiscard]] bool wait(Span span);

    Follower& follower_;
    const Span between_looks_;
    const std::function<void(const Looked&)> on_look_;
    const std::function<void(const std::string& level, const std::string& message)> log_;
    bool is_failing_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool is_stopping_ = false;
    std::thread thread_;
};

}  // namespace fallow::engine
