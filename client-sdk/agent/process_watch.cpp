#include "agent/process_watch.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

constexpr int end_look_ms = 20;  ///< what is awaited may never come
constexpr std::int64_t hold_ms_max = 10'000;
constexpr std::string_view runtime_log = "oci-log";  ///< opened by the runtime as long as it runs

/// The signal that it has to go on with, since it was just to get it, or 0; nothing when it is not there
/// any more, or may not be stopped.
std::optional<int> stop(pid_t pid) {
    if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) return std::nullopt;
    if (::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0) return std::nullopt;
    int status = 0;
    pid_t changed = 0;
    do {
        changed = ::waitpid(pid, &status, __WALL);
    } while (changed < 0 && errno == EINTR);
    if (changed != pid || !WIFSTOPPED(status)) return std::nullopt;
    constexpr int event_shift = 16;
    return status >> event_shift == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
}

}  // namespace

bool may_hold_processes() {
    const pid_t child = ::fork();
    if (child < 0) return false;
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            ::pause();
    }
    const bool is_stopped = stop(child).has_value();
    ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) {
    }
    return is_stopped;
}

ProcessWatch::ProcessWatch(const std::string& containers_folder, const std::string& id, bool holds)
    : holds_(holds) {
    if (containers_folder.empty()) return;
    folder_ = std::filesystem::path(containers_folder) / id / "userdata";
    changes_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    constexpr std::uint32_t kinds = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO;
    const bool is_watched = ::inotify_add_watch(changes_.get(), folder_.c_str(), kinds) >= 0;
    std::error_code error;
    const auto is_there = [&](const std::filesystem::path& file) {
        return std::filesystem::exists(file, error) || error;
    };
    // What is there is of an earlier run of the container.
    if (!is_watched || is_there(pid_file()) || (holds && is_there(folder_ / runtime_log))) folder_.clear();
}

void ProcessWatch::take_changes() {
    pollfd waited{changes_.get(), POLLIN, 0};
    ::poll(&waited, 1, end_look_ms);
    std::array<char, 4096> events{};
    inotify_event event{};
    for (;;) {
        const ssize_t length = ::read(changes_.get(), events.data(), events.size());
        if (length <= 0) return;
        const char* at = events.data();
        for (; at < events.data() + length; at += sizeof event + event.len) {
            std::memcpy(&event, at, sizeof event);
            const bool is_log = event.len > 0 && runtime_log == at + sizeof event;
            runtime_runs_ = runtime_runs_ || (is_log && (event.mask & IN_CREATE) != 0);
            runtime_has_ended_ = runtime_has_ended_ || (is_log && (event.mask & IN_CLOSE_WRITE) != 0);
        }
    }
}

void ProcessWatch::hold() {
    holds_ = false;  // once
    pid_t monitor = 0;
    std::ifstream(folder_ / "conmon.pid") >> monitor;
    const std::optional<int> signal = monitor > 0 ? stop(monitor) : std::nullopt;
    if (!signal) {
        spdlog::debug("the monitor {} of a container cannot be stopped: {}", monitor, std::strerror(errno));
        return;
    }
    monitor_ = monitor;
    monitor_signal_ = *signal;
    held_boot_ms_ = boot_clock_ms();
    std::error_code error;
    if (std::filesystem::exists(pid_file(), error) || error) let_go();  // too late
}

void ProcessWatch::let_go() {
    if (const pid_t monitor = std::exchange(monitor_, 0); monitor != 0)
        ::ptrace(PTRACE_DETACH, monitor, nullptr, static_cast<long>(monitor_signal_));
}

std::int64_t ProcessWatch::await(const std::future<void>& made) {
    std::int64_t pid = 0;
    while (is_watching() && pid == 0 &&
           made.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
        take_changes();
        if (holds_ && runtime_runs_) hold();
        std::ifstream(pid_file()) >> pid;
        // A runtime that fails makes no process, and its monitor has to tell that.
        if (pid == 0 && (runtime_has_ended_ || boot_clock_ms() > held_boot_ms_ + hold_ms_max)) let_go();
    }
    return pid;
}

}  // namespace fallow::agent
