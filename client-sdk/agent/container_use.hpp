// What a guest's processes have taken of the host's processors and memory, from the kernel's control groups
// (version 1: cpuacct and memory; version 2). The kernel counts; a guest has no say in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::agent {

/// The folders of one container's groups.
struct ContainerGroups {
    std::filesystem::path cpu;
    bool is_cpu_v2 = false;
    std::filesystem::path memory;
    bool is_memory_v2 = false;
    friend bool operator==(const ContainerGroups&, const ContainerGroups&) = default;
};

/// `mountinfo` of the agent, `groups` the text of /proc/PID/cgroup of the container's first process.
/// Nothing unless both are groups with the container's id in their name: a runtime may keep a guest out of
/// them.
[[nodiscard]] std::optional<ContainerGroups> container_groups(std::string_view mountinfo,
                                                              std::string_view groups,
                                                              const std::string& container_id);
/// Those of this host.
[[nodiscard]] std::optional<ContainerGroups> container_groups_of(std::int64_t pid,
                                                                 const std::string& container_id);

struct ContainerUse {
    std::int64_t cpu_ns = 0;             ///< since the group was made
    std::int64_t memory_used_bytes = 0;  ///< without file pages that the kernel may drop at once
    friend bool operator==(const ContainerUse&, const ContainerUse&) = default;
};

/// Nothing when the group is gone.
[[nodiscard]] std::optional<ContainerUse> read_use(const ContainerGroups& groups);

/// In thousandths of `cpu_millis`, at most 1000.
[[nodiscard]] std::int64_t cpu_thousandths(std::int64_t cpu_ns, std::int64_t span_ms,
                                           std::int64_t cpu_millis);

}  // namespace fallow::agent
