#include "agent/watched_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "agent/clock.hpp"
#include "guard/descriptor.hpp"

namespace fallow::agent {
namespace {

using guard::Descriptor;

constexpr std::int64_t dying_ms_max = 3000;

struct SpawnPlan {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};
    SpawnPlan(int output_fd, bool with_errors) {
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
        if (with_errors) posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
        posix_spawnattr_init(&attributes);
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
};

pid_t start(const std::vector<std::string>& words, int output_fd, bool with_errors) {
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const SpawnPlan plan(output_fd, with_errors);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, words.front().c_str(), &plan.actions, &plan.attributes,
                                    arguments.data(), environ);
    if (error != 0) throw std::runtime_error(words.front() + " cannot be started: " + std::strerror(error));
    return pid;
}

/// Reads until the output ends or a limit is passed; `end` says which.
class Watch {
  public:
    Watch(int output_fd, const WatchLimits& limits, std::stop_token stop)
        : output_fd_(output_fd),
          limits_(limits),
          stop_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
          on_stop_(std::move(stop), Ring{stop_fd_.get()}) {}

    ProcessEnd read(std::string& output, const std::function<void(std::string_view)>& on_output) {
        const std::int64_t began = boot_clock_ms();
        std::int64_t heard = began;
        while (true) {
            const std::int64_t now = boot_clock_ms();
            if (now - began >= limits_.total_ms) return ProcessEnd::too_long;
            if (now - heard >= limits_.silence_ms) return ProcessEnd::silent;
            const std::int64_t left = std::min(began + limits_.total_ms, heard + limits_.silence_ms) - now;
            std::array<pollfd, 2> ready{pollfd{output_fd_, POLLIN, 0}, pollfd{stop_fd_.get(), POLLIN, 0}};
            if (::poll(ready.data(), ready.size(),
                       static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0)
                continue;
            if (ready[1].revents != 0) return ProcessEnd::stopped;
            std::array<char, 4096> piece{};
            const ssize_t n = ::read(output_fd_, piece.data(), piece.size());
            if (n <= 0) return ProcessEnd::exited;
            const std::string_view text(piece.data(), static_cast<std::size_t>(n));
            if (on_output) on_output(text);
            if (limits_.keeps_output) output.append(text);
            if (output.size() > limits_.output_bytes_max) return ProcessEnd::too_much;
            heard = boot_clock_ms();
        }
    }

  private:
    struct Ring {
        int fd;
        void operator()() const {
            const std::uint64_t one = 1;
            static_cast<void>(!::write(fd, &one, sizeof one));
        }
    };
    int output_fd_;
    const WatchLimits& limits_;
    Descriptor stop_fd_;
    std::stop_callback<Ring> on_stop_;
};

/// False when it is still there after `ms`.
bool await_end(pid_t pid, std::int64_t ms, int& status) {
    const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd ended{handle.get(), POLLIN, 0};
    ::poll(&ended, 1, static_cast<int>(ms));
    return ::waitpid(pid, &status, WNOHANG) == pid;
}

}  // namespace

std::string describe(const WatchedProcess& process, const WatchLimits& limits) {
    switch (process.end) {
        case ProcessEnd::exited:
            return fmt::format("ended with code {}", process.code);
        case ProcessEnd::crashed:
            return fmt::format("crashed with signal {}", process.code);
        case ProcessEnd::silent:
            return fmt::format("did not answer for {} ms", limits.silence_ms);
        case ProcessEnd::too_long:
            return fmt::format("did not come to its end in {} ms", limits.total_ms);
        case ProcessEnd::too_much:
            return "said more than it may";
        case ProcessEnd::stopped:
            return "was stopped";
    }
    return {};
}

WatchedProcess run_watched(const std::vector<std::string>& words, const WatchLimits& limits,
                           std::stop_token stop, const std::function<void(std::string_view)>& on_output) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("there is no pipe for a child");
    const Descriptor reader(ends[0]);
    Descriptor writer(ends[1]);
    WatchedProcess result;
    const pid_t pid = start(words, writer.get(), limits.with_errors);
    writer.reset();
    result.end = Watch(reader.get(), limits, std::move(stop)).read(result.output, on_output);
    int status = 0;
    // One that has closed its output and lives on is a hung one, too.
    if (result.end != ProcessEnd::exited || !await_end(pid, dying_ms_max, status)) {
        if (result.end == ProcessEnd::exited) result.end = ProcessEnd::silent;
        ::kill(pid, SIGKILL);
        if (!await_end(pid, dying_ms_max, status)) result.stuck = pid;
        return result;
    }
    if (WIFSIGNALED(status)) result.end = ProcessEnd::crashed;
    result.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return result;
}

bool is_gone(pid_t stuck) {
    int status = 0;
    return ::waitpid(stuck, &status, WNOHANG) != 0;
}

}  // namespace fallow::agent
