// The agent's end of the line to fallow-guard, which freezes containers when this process cannot (see
// guard/README.md). Starts the guard when there is none, and replaces one that does not answer.
//
// It remembers the last heartbeat and tells a new guard; which containers are to be watched is the callers'
// to say again, whenever `list` does not name them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "guard/book.hpp"
#include "guard/descriptor.hpp"

namespace fallow::agent {

struct GuardOptions {
    std::filesystem::path state_folder;
    std::string engine_socket;
    std::filesystem::path program;  ///< empty: `fallow-guard` beside this program
    std::int64_t fenced_ms_max = 600'000;
};

/// The guard answered, and will not: "fenced", "stale_epoch", "killed", "unknown".
class GuardRefusal : public std::runtime_error {
  public:
    explicit GuardRefusal(const std::string& word)
        : std::runtime_error("the guard refuses: " + word), word_(word) {}
    [[nodiscard]] const std::string& word() const { return word_; }

  private:
    std::string word_;
};

/// Any thread; one request at a time. Everything but `heartbeat` throws GuardRefusal, or std::runtime_error
/// when no guard can be had.
class GuardLink {
  public:
    explicit GuardLink(GuardOptions options);
    ~GuardLink();
    GuardLink(const GuardLink&) = delete;
    GuardLink& operator=(const GuardLink&) = delete;

    /// Of an acknowledged heartbeat: when it was sent. Starts no guard: without one nothing is watched.
    void heartbeat(std::int64_t sent_boot_ms);

    void watch(const guard::Watched& watched);
    /// Since when it runs again, on the boot clock.
    std::int64_t thaw(const std::string& container);
    void kill(const std::string& container);
    void drop(const std::string& container);
    [[nodiscard]] std::vector<guard::Watched> list();

  private:
    std::string ask(const std::string& request);
    std::string exchange(const std::string& line);
    std::string read_line();
    void connect();
    [[nodiscard]] bool try_connect();
    void start();
    void replace_silent();

    GuardOptions options_;
    std::mutex mutex_;
    guard::Descriptor fd_;
    std::string unread_;
    std::int64_t pid_ = 0;  ///< of the guard at the other end
    std::int64_t heartbeat_boot_ms_ = 0;
};

/// The program of that name in the folder of the running one.
[[nodiscard]] std::filesystem::path program_beside_this(std::string_view name);

}  // namespace fallow::agent
