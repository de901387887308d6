#include "guard/cgroups.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "guard/book.hpp"

namespace fallow::guard {
namespace {

namespace fs = std::filesystem;

constexpr int depth_max = 8;
constexpr std::size_t file_bytes_max = 1 << 20;

bool write_word(const fs::path& file, std::string_view word) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool done = ::write(fd, word.data(), word.size()) == static_cast<ssize_t>(word.size());
    ::close(fd);
    return done;
}

std::string read_text(const fs::path& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    std::string text;
    std::array<char, 4096> piece{};
    for (ssize_t n = 0; (n = ::read(fd, piece.data(), piece.size())) > 0 && text.size() < file_bytes_max;)
        text.append(piece.data(), static_cast<std::size_t>(n));
    ::close(fd);
    return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(separator), text.size());
        parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

/// The runtime's own helper has a group beside the container's, with the same id in its name.
bool is_group_of(const std::string& name, const std::string& container_id) {
    return name.find(container_id) != name.npos && name.find("conmon") == name.npos;
}

std::optional<fs::path> find_below(const fs::path& folder, const std::string& container_id, int depth) {
    std::error_code error;
    std::vector<fs::path> deeper;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        if (!at->is_directory(error)) continue;
        if (is_group_of(at->path().filename().string(), container_id)) return at->path();
        deeper.push_back(at->path());
    }
    if (depth == 0) return std::nullopt;
    for (const fs::path& child : deeper)
        if (auto found = find_below(child, container_id, depth - 1)) return found;
    return std::nullopt;
}

void signal_all(const fs::path& folder, int number, int depth) {
    const std::string processes = read_text(folder / "cgroup.procs");
    for (const std::string_view line : split(processes, '\n'))
        if (const auto pid = number_of(line); pid && *pid > 1) ::kill(static_cast<pid_t>(*pid), number);
    if (depth == 0) return;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        if (at->is_directory(error)) signal_all(at->path(), number, depth - 1);
}

}  // namespace

std::vector<CgroupRoot> freezer_roots(std::string_view mountinfo) {
    std::vector<CgroupRoot> first;
    std::vector<CgroupRoot> second;
    for (const std::string_view line : split(mountinfo, '\n')) {
        // 36 35 98:0 /root /mount-point options … - type source super-options   (proc(5))
        const auto words = words_of(line);
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 5 || words.end() - dash < 4) continue;
        const fs::path path(words[4]);
        if (dash[1] == "cgroup2") second.push_back({path, true});
        if (dash[1] != "cgroup") continue;
        const auto options = split(dash[3], ',');
        if (std::find(options.begin(), options.end(), "freezer") != options.end())
            first.push_back({path, false});
    }
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

Cgroups Cgroups::here() {
    return Cgroups(freezer_roots(read_text("/proc/self/mountinfo")));
}

std::optional<Cgroups::Group> Cgroups::find(const std::string& container_id) const {
    for (const CgroupRoot& root : roots_)
        if (const auto path = find_below(root.path, container_id, depth_max))
            return Group{*path, root.is_v2};
    return std::nullopt;
}

bool Cgroups::freeze(const Group& group) {
    return group.is_v2 ? write_word(group.path / "cgroup.freeze", "1")
                       : write_word(group.path / "freezer.state", "FROZEN");
}

bool Cgroups::is_frozen(const Group& group) {
    if (!group.is_v2) return read_text(group.path / "freezer.state").starts_with("FROZEN");
    const std::string events = read_text(group.path / "cgroup.events");
    const auto lines = split(events, '\n');
    return std::find(lines.begin(), lines.end(), "frozen 1") != lines.end();
}

bool Cgroups::thaw(const Group& group) {
    return group.is_v2 ? write_word(group.path / "cgroup.freeze", "0")
                       : write_word(group.path / "freezer.state", "THAWED");
}

bool Cgroups::kill(const Group& group) {
    // Kernels from 5.14 on kill a whole group at once; frozen processes of version 2 die without a thaw.
    if (group.is_v2 && write_word(group.path / "cgroup.kill", "1")) return true;
    // Frozen first, so that the list holds still; a container's first process takes the others with it
    // anyway.
    freeze(group);
    signal_all(group.path, SIGKILL, depth_max);
    return thaw(group);
}

}  // namespace fallow::guard
