// How busy a container keeps its cores, by the kernel's count for its control group.
#pragma once

#include <cstdint>
#include <optional>

namespace fallow::agent {

/// Percent of what a job may use, since the look before.
class CpuUse {
  public:
    /// `used_ns` since the group was made. Nothing at the first look, and when the count is not known or
    /// has begun anew.
    [[nodiscard]] std::optional<std::int64_t> percent(std::optional<std::int64_t> used_ns,
                                                      std::int64_t now_boot_ms, std::int64_t cpu_millis);

  private:
    std::optional<std::int64_t> used_ns_;
    std::int64_t at_boot_ms_ = 0;
};

}  // namespace fallow::agent
