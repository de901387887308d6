// The fence: freezes this host's containers when the server has not acknowledged a heartbeat for too long,
// because the server may then give their work to another host. It needs neither the reconcile loop nor the
// network, only the boot clock and the container engine, and it never thaws: whether a lease is still ours
// is the planner's to say.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

namespace fallow::agent {

struct GuardOptions {
    std::int64_t fence_ms = 10'000;
    std::function<std::int64_t()> boot_clock_ms;
    /// Freezes a container. False: it was not running. May throw; tried again then.
    std::function<bool(const std::string& container_id)> freeze;
};

class Guard {
  public:
    /// `acknowledged_boot_ms`: send time of the last acknowledged heartbeat, as known from an earlier run;
    /// 0 counts from now.
    Guard(GuardOptions options, std::int64_t acknowledged_boot_ms);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    /// `on_frozen` is called from the guard's thread with the time of the freeze. A container is watched
    /// until it is dropped; after a freeze it has to be watched again when it has been thawed.
    void watch(const std::string& container_id, std::function<void(std::int64_t boot_ms)> on_frozen);
    /// When it returns, the container's `on_frozen` is not running and will not be called.
    void drop(const std::string& container_id);

    void acknowledged(std::int64_t sent_boot_ms);

  private:
    void run(std::stop_token stop);
    void freeze_all(std::unique_lock<std::mutex>& lock);

    GuardOptions options_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::map<std::string, std::function<void(std::int64_t)>> watched_;
    std::string freezing_;  ///< the container whose freeze is under way
    std::int64_t acknowledged_boot_ms_;
    std::jthread thread_;
};

}  // namespace fallow::agent
