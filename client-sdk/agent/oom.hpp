// Whether the kernel killed processes of a container for its memory limit, from the kernel's own log.
// Podman with cgroup v1 does not see all of these, and the cgroup with its counters is gone once the
// container has ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fallow::agent {

/// A line of the kernel's log that reports such a kill in the container with that id.
[[nodiscard]] bool is_oom_kill_of(std::string_view kernel_line, std::string_view container_id);

/// How many of them the log holds; none when it cannot be read.
[[nodiscard]] std::int64_t oom_kills_of(const std::string& container_id);

}  // namespace fallow::agent
