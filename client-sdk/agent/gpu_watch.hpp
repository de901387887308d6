// Reads the host's NVIDIA cards again and again, in a child (`fallow-agent probe watch`), because a driver
// may hang whoever calls it. A child that says nothing for too long is ended, and another one started
// later; meanwhile nothing is known, and nothing is made up.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/gpu_reading.hpp"
#include "agent/watched_process.hpp"

namespace fallow::agent {

struct GpuWatchOptions {
    std::string program = "/proc/self/exe";
    std::string nvml_library = "libnvidia-ml.so.1";
    std::int64_t period_ms = 1000;
    std::int64_t stale_ms = 10'000;  ///< what is older is not the present any more
    std::int64_t retry_ms = 60'000;  ///< after a child that failed
    WatchLimits limits = {.silence_ms = 30'000, .total_ms = 3600 * 1000, .keeps_output = false};
};

class GpuWatch {
  public:
    explicit GpuWatch(GpuWatchOptions options);
    ~GpuWatch();
    GpuWatch(const GpuWatch&) = delete;
    GpuWatch& operator=(const GpuWatch&) = delete;

    /// There is a child only while somebody wants to know.
    void want(bool is_wanted);
    /// All cards as they were last, empty when that is too long ago.
    [[nodiscard]] std::vector<GpuReading> latest() const;
    /// Every reading since the last call, the oldest left out when there are too many.
    [[nodiscard]] std::vector<std::vector<GpuReading>> drain();

  private:
    void run(const std::stop_token& stop);
    void watch(const std::stop_token& stop);
    void take(std::string_view line);

    const GpuWatchOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    bool is_wanted_ = false;
    std::stop_source child_stop_;
    std::vector<GpuReading> latest_;
    std::int64_t latest_boot_ms_ = 0;
    std::vector<std::vector<GpuReading>> undrained_;
    std::optional<pid_t> stuck_;  ///< of the thread: no second child beside one that cannot be ended
    std::jthread thread_;         // last: it uses all of the above
};

}  // namespace fallow::agent
