#include "agent/container_use.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <vector>

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_bytes_max = 1 << 20;
constexpr std::size_t id_bytes_min = 12;  // what engines shorten an id to: less may be in any path

std::string text_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(file_bytes_max, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

std::optional<std::int64_t> number_in(const fs::path& path) {
    std::ifstream file(path);
    std::int64_t value = 0;
    if (!(file >> value)) return std::nullopt;
    return value;
}

/// The number behind a name at the start of a line: "usage_usec 123".
std::optional<std::int64_t> number_named(const std::string& text, std::string_view name) {
    std::istringstream lines(text);
    std::string word;
    std::int64_t value = 0;
    while (lines >> word >> value)
        if (word == name) return value;
    return std::nullopt;
}

bool has_word(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        if (list.substr(0, end) == word) return true;
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return false;
}

struct Mount {
    std::string root;  ///< which folder of the hierarchy is mounted
    fs::path path;
};

/// Of the hierarchy with this controller of version 1, or of version 2 when there is no name.
std::optional<Mount> find_mount(std::string_view mountinfo, std::string_view controller) {
    std::istringstream lines{std::string(mountinfo)};
    for (std::string line; std::getline(lines, line);) {
        // 36 35 98:0 /root /mount-point options … - type source super-options   (proc(5))
        std::istringstream words(line);
        std::vector<std::string> all;
        for (std::string word; words >> word;)
            all.push_back(word);
        const auto dash = std::find(all.begin(), all.end(), "-");
        if (all.size() < 5 || all.end() - dash < 4) continue;
        const bool is_meant = controller.empty() ? dash[1] == "cgroup2"
                                                 : dash[1] == "cgroup" && has_word(dash[3], controller);
        if (is_meant) return Mount{all[3], all[4]};
    }
    return std::nullopt;
}

/// The path within the hierarchy, up to the folder that is named after the container.
std::optional<std::string> group_path(std::string_view groups, std::string_view controller,
                                      const std::string& container_id) {
    std::istringstream lines{std::string(groups)};
    for (std::string line; std::getline(lines, line);) {
        // 4:memory:/libpod_parent/libpod-ID   0::/machine.slice/libpod-ID.scope/container   (cgroups(7))
        const auto first = line.find(':');
        const auto second = first == line.npos ? line.npos : line.find(':', first + 1);
        if (second == line.npos) continue;
        const std::string names = line.substr(first + 1, second - first - 1);
        if (controller.empty() ? !names.empty() : !has_word(names, controller)) continue;
        const std::string path = line.substr(second + 1);
        const auto at = path.find(container_id);
        if (container_id.size() < id_bytes_min || at == path.npos) return std::nullopt;
        return path.substr(0, path.find('/', at));
    }
    return std::nullopt;
}

std::optional<fs::path> folder_of(std::string_view mountinfo, std::string_view groups,
                                  std::string_view controller, const std::string& container_id) {
    const auto mount = find_mount(mountinfo, controller);
    auto path = group_path(groups, controller, container_id);
    if (!mount || !path) return std::nullopt;
    if (mount->root != "/" && path->starts_with(mount->root)) path->erase(0, mount->root.size());
    return mount->path / path->substr(path->find_first_not_of('/'));
}

}  // namespace

std::optional<ContainerGroups> container_groups(std::string_view mountinfo, std::string_view groups,
                                                const std::string& container_id) {
    const auto second = folder_of(mountinfo, groups, {}, container_id);
    const auto cpu = folder_of(mountinfo, groups, "cpuacct", container_id);
    const auto memory = folder_of(mountinfo, groups, "memory", container_id);
    if ((!cpu || !memory) && !second) return std::nullopt;
    return ContainerGroups{cpu.value_or(second.value_or(fs::path())), !cpu,
                           memory.value_or(second.value_or(fs::path())), !memory};
}

std::optional<ContainerGroups> container_groups_of(std::int64_t pid, const std::string& container_id) {
    if (pid <= 0) return std::nullopt;
    return container_groups(text_of("/proc/self/mountinfo"),
                            text_of(fs::path("/proc") / std::to_string(pid) / "cgroup"), container_id);
}

std::optional<ContainerUse> read_use(const ContainerGroups& groups) {
    std::optional<std::int64_t> cpu_ns = number_in(groups.cpu / "cpuacct.usage");
    if (groups.is_cpu_v2) {
        cpu_ns = number_named(text_of(groups.cpu / "cpu.stat"), "usage_usec");
        if (cpu_ns) *cpu_ns *= 1000;
    }
    const auto used =
        number_in(groups.memory / (groups.is_memory_v2 ? "memory.current" : "memory.usage_in_bytes"));
    const auto droppable = number_named(text_of(groups.memory / "memory.stat"),
                                        groups.is_memory_v2 ? "inactive_file" : "total_inactive_file");
    if (!cpu_ns || !used || !droppable) return std::nullopt;
    return ContainerUse{*cpu_ns, std::max<std::int64_t>(0, *used - *droppable)};
}

std::int64_t cpu_thousandths(std::int64_t cpu_ns, std::int64_t span_ms, std::int64_t cpu_millis) {
    constexpr std::int64_t whole = 1000;
    if (cpu_ns <= 0 || span_ms <= 0 || cpu_millis <= 0) return 0;
    // Microseconds of processor time by microseconds of what the guest may have: the factors are in the
    // range of days and thousands of processors.
    const std::int64_t used_us = cpu_ns / 1000;
    const std::int64_t most_us = span_ms * cpu_millis;
    return std::min(whole, (used_us * whole + most_us / 2) / std::max<std::int64_t>(most_us, 1));
}

}  // namespace fallow::agent
