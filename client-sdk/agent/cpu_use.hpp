// How busy a container keeps its cores, by the kernel's count for its control group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::agent {

/// The file that counts the processor time of a process's group, and what it counts in. From the texts of
/// /proc/PID/cgroup and /proc/self/mountinfo: the controller cpuacct of version 1, else version 2.
struct CpuCounter {
    std::string file;
    bool is_v2 = false;
};
[[nodiscard]] std::optional<CpuCounter> cpu_counter(std::string_view cgroups, std::string_view mountinfo);

/// Processor time of the group that the process is in, in nanoseconds; nothing when it cannot be read.
[[nodiscard]] std::optional<std::int64_t> cpu_time_ns(std::int64_t pid);

/// Percent of what a job may use, since the look before.
class CpuUse {
  public:
    /// Nothing at the first look, and when the count is not known or has begun anew.
    [[nodiscard]] std::optional<std::int64_t> percent(std::optional<std::int64_t> used_ns,
                                                      std::int64_t now_boot_ms, std::int64_t cpu_millis);

  private:
    std::optional<std::int64_t> used_ns_;
    std::int64_t at_boot_ms_ = 0;
};

}  // namespace fallow::agent
