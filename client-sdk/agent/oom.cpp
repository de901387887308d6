#include "agent/oom.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace fallow::agent {

bool is_oom_kill_of(std::string_view kernel_line, std::string_view container_id) {
    // oom-kill:constraint=CONSTRAINT_MEMCG,…,task_memcg=/…/libpod-ID,task=… (mm/oom_kill.c,
    // dump_oom_summary)
    constexpr std::string_view cgroup_field = "task_memcg=";
    if (container_id.empty() ||
        kernel_line.find("oom-kill:constraint=CONSTRAINT_MEMCG") == kernel_line.npos)
        return false;
    const std::size_t start = kernel_line.find(cgroup_field);
    if (start == kernel_line.npos) return false;
    const std::string_view rest = kernel_line.substr(start + cgroup_field.size());
    return rest.substr(0, rest.find(',')).find(container_id) != rest.npos;
}

std::int64_t oom_kills_of(const std::string& container_id) {
    const int fd = ::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return 0;
    std::int64_t kills = 0;
    std::array<char, 8192> record{};
    while (true) {
        const ssize_t n = ::read(fd, record.data(), record.size());
        if (n < 0 && (errno == EPIPE || errno == EINTR)) continue;  // overwritten while we read: go on
        if (n <= 0) break;
        if (is_oom_kill_of({record.data(), static_cast<std::size_t>(n)}, container_id)) ++kills;
    }
    ::close(fd);
    return kills;
}

}  // namespace fallow::agent
