// Freezes, thaws and kills a container through the kernel's control groups, without its engine: a write to
// a file works also when the engine hangs. Version 1 (the freezer controller) and version 2.
//
// A container's group is found by its id in the folder's name, as Docker and Podman with runc, crun or the
// systemd driver name it: `libpod-ID`, `libpod-ID.scope`, `docker-ID.scope`, `docker/ID`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::guard {

struct CgroupRoot {
    std::filesystem::path path;
    bool is_v2 = false;
};

/// Where groups with a freezer are mounted, from the text of /proc/self/mountinfo; version 1 first.
[[nodiscard]] std::vector<CgroupRoot> freezer_roots(std::string_view mountinfo);

class Cgroups {
  public:
    explicit Cgroups(std::vector<CgroupRoot> roots) : roots_(std::move(roots)) {}
    /// Those of this machine.
    [[nodiscard]] static Cgroups here();

    struct Group {
        std::filesystem::path path;
        bool is_v2 = false;
    };
    /// Nothing when no such container runs, or its runtime keeps it out of the groups.
    [[nodiscard]] std::optional<Group> find(const std::string& container_id) const;

    /// Asks for the freeze; processes within the kernel stop a moment later. False: it could not be asked.
    static bool freeze(const Group& group);
    [[nodiscard]] static bool is_frozen(const Group& group);
    static bool thaw(const Group& group);
    /// All processes, none of which runs another instruction of its program: frozen, killed, thawed.
    static bool kill(const Group& group);

  private:
    std::vector<CgroupRoot> roots_;
};

}  // namespace fallow::guard
