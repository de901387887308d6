#include "agent/cpu_use.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

namespace fallow::agent {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream{std::string(text)};
    for (std::string part; std::getline(stream, part, separator);)
        parts.push_back(std::move(part));
    return parts;
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

/// proc(5): "ID:controllers:/path"; of version 2 "0::/path".
std::optional<std::string> path_in(std::string_view cgroups, bool is_v2) {
    for (const std::string& line : split(cgroups, '\n')) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool is_it = is_v2 ? controllers.empty() : contains(split(controllers, ','), "cpuacct");
        if (is_it) return line.substr(second + 1);
    }
    return std::nullopt;
}

struct Mount {
    std::string root;
    std::string point;
};

/// proc(5): 36 35 98:0 /root /mount-point options … - type source super-options
std::optional<Mount> mount_of(std::string_view mountinfo, bool is_v2) {
    for (const std::string& line : split(mountinfo, '\n')) {
        const auto words = split(line, ' ');
        const auto dash = std::ranges::find(words, "-");
        if (words.size() < 5 || words.end() - dash < 4) continue;
        const bool is_it =
            is_v2 ? dash[1] == "cgroup2" : dash[1] == "cgroup" && contains(split(dash[3], ','), "cpuacct");
        if (is_it) return Mount{words[3], words[4]};
    }
    return std::nullopt;
}

/// A path of the hierarchy below what of it is mounted.
std::optional<std::string> file_below(const Mount& mount, const std::string& path) {
    if (mount.root == "/") return mount.point + (path == "/" ? "" : path);
    if (path.starts_with(mount.root)) return mount.point + path.substr(mount.root.size());
    return std::nullopt;
}

std::string read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::optional<std::int64_t> number_at(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<CpuCounter> cpu_counter(std::string_view cgroups, std::string_view mountinfo) {
    for (const bool is_v2 : {false, true}) {
        const auto path = path_in(cgroups, is_v2);
        const auto mount = mount_of(mountinfo, is_v2);
        if (!path || !mount) continue;
        if (const auto folder = file_below(*mount, *path))
            return CpuCounter{*folder + (is_v2 ? "/cpu.stat" : "/cpuacct.usage"), is_v2};
    }
    return std::nullopt;
}

std::optional<std::int64_t> cpu_time_ns(std::int64_t pid) {
    constexpr std::string_view usage = "usage_usec ";
    if (pid <= 0) return std::nullopt;
    const auto counter = cpu_counter(read_text("/proc/" + std::to_string(pid) + "/cgroup"),
                                     read_text("/proc/self/mountinfo"));
    if (!counter) return std::nullopt;
    const std::string text = read_text(counter->file);
    if (!counter->is_v2) return number_at(text);
    const std::size_t at = text.find(usage);
    if (at == std::string::npos) return std::nullopt;
    const auto us = number_at(std::string_view(text).substr(at + usage.size()));
    return us ? std::optional(*us * 1000) : std::nullopt;
}

std::optional<std::int64_t> CpuUse::percent(std::optional<std::int64_t> used_ns, std::int64_t now_boot_ms,
                                            std::int64_t cpu_millis) {
    const auto before_ns = std::exchange(used_ns_, used_ns);
    const std::int64_t span_ms = now_boot_ms - std::exchange(at_boot_ms_, now_boot_ms);
    if (!used_ns || !before_ns || *used_ns < *before_ns || span_ms <= 0 || cpu_millis <= 0)
        return std::nullopt;
    // ns / (ms × cores × 1e6) × 100, with cores in thousandths
    return (*used_ns - *before_ns) / 10 / (span_ms * cpu_millis);
}

}  // namespace fallow::agent
