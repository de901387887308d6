// What tests need to see of a guard that is another process: its book, and its life.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>

#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "agent/clock.hpp"
#include "guard/descriptor.hpp"
#include "guard/process.hpp"
#include "guard/protocol.hpp"
#include "guest_fixture.hpp"

namespace fallow::agent::testing {

inline std::string whole_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

/// Until the guard has written that into its book; it is told of each change by the file system.
inline void wait_for_book(const std::filesystem::path& state_folder, const std::string& text) {
    const guard::Descriptor changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    REQUIRE(::inotify_add_watch(changes.get(), state_folder.c_str(), IN_MOVED_TO) >= 0);
    const std::int64_t deadline = boot_clock_ms() + patience_ms;
    while (whole_file(state_folder / guard::book_file).find(text) == std::string::npos) {
        pollfd changed{changes.get(), POLLIN, 0};
        const std::int64_t left = deadline - boot_clock_ms();
        if (left <= 0 || ::poll(&changed, 1, static_cast<int>(left)) != 1)
            FAIL("the guard's book never had:" << text);
        std::array<char, 4096> events{};
        [[maybe_unused]] const ssize_t taken = ::read(changes.get(), events.data(), events.size());
    }
}

/// The container engine, stopped; it goes on after so long, or at the end of the scope.
class StoppedEngine {
  public:
    explicit StoppedEngine(std::int64_t for_ms)
        : pid_(static_cast<pid_t>(
              std::stol(whole_file(PodmanService::instance().folder() / "podman.pid")))) {
        REQUIRE(::kill(pid_, SIGSTOP) == 0);
        thread_ = std::jthread([this, for_ms](std::stop_token stop) {
            std::unique_lock lock(mutex_);
            over_.wait_for(lock, stop, std::chrono::milliseconds(for_ms), [] { return false; });
            ::kill(pid_, SIGCONT);
        });
    }
    StoppedEngine(const StoppedEngine&) = delete;
    StoppedEngine& operator=(const StoppedEngine&) = delete;

  private:
    pid_t pid_;
    std::mutex mutex_;
    std::condition_variable_any over_;
    std::jthread thread_;
};

/// The guard that holds a state folder's lock now.
class GuardProcess {
  public:
    explicit GuardProcess(const std::filesystem::path& state_folder)
        : pid_(std::stoll(whole_file(state_folder / guard::lock_file))),
          start_ticks_(guard::start_ticks_of(pid_).value_or(0)),
          process_(guard::watch_process(pid_, start_ticks_)) {
        REQUIRE(process_.get() >= 0);
    }

    [[nodiscard]] std::int64_t pid() const { return pid_; }
    void signal(int number) const { REQUIRE(::kill(static_cast<pid_t>(pid_), number) == 0); }
    void wait_for_end() const {
        pollfd ended{process_.get(), POLLIN, 0};
        REQUIRE(::poll(&ended, 1, static_cast<int>(patience_ms)) == 1);
    }

  private:
    std::int64_t pid_;
    std::int64_t start_ticks_;
    guard::Descriptor process_;
};

}  // namespace fallow::agent::testing
