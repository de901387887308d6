// The moment at which Podman's runtime has made a container's process, its namespaces with it, and runs
// nothing in it yet; and how a start is held there.
//
// The runtime writes the number of that process into a file. Podman's monitor (conmon) waits for the
// runtime's end, tells Podman that number, and Podman then has the runtime run the container's command. A
// monitor that is stopped while there is no such file yet can have told nothing, so nothing of the
// container's runs before the monitor goes on. It is stopped as a debugger does it (ptrace(2)): should this
// process end, the kernel lets it go on.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <future>
#include <string>
#include <utility>

#include "guard/descriptor.hpp"

namespace fallow::agent {

/// Whether starts are held on this host, rather than made in two requests. Any thread.
class HeldStarts {
  public:
    explicit HeldStarts(bool are_had) : are_had_(are_had) {}
    [[nodiscard]] bool are_had() const { return are_had_; }
    /// One came too late, or was not to be had.
    void give_up() { are_had_ = false; }

  private:
    std::atomic<bool> are_had_;
};

/// Whether this process may stop others of its user.
[[nodiscard]] bool may_hold_processes();

/// One thread: what is stopped goes on when that thread ends.
class ProcessWatch {
  public:
    /// From before it is asked for. `containers_folder` of the engine (EngineFacts); empty: not known.
    ProcessWatch(const std::string& containers_folder, const std::string& id, bool holds);
    ~ProcessWatch() { let_go(); }
    ProcessWatch(const ProcessWatch&) = delete;
    ProcessWatch& operator=(const ProcessWatch&) = delete;

    /// Whether it can be seen: not where it has run before.
    [[nodiscard]] bool is_watching() const { return !folder_.empty(); }
    /// The container's process; 0 when the request was `made` before it has come.
    [[nodiscard]] std::int64_t await(const std::future<void>& made);
    /// The process is there, and nothing of the container's has run.
    [[nodiscard]] bool is_held() const { return monitor_ != 0; }
    void let_go();

  private:
    [[nodiscard]] std::filesystem::path pid_file() const { return folder_ / "pidfile"; }
    void take_changes();
    void hold();

    std::filesystem::path folder_;  ///< empty: nothing is to be seen there
    guard::Descriptor changes_;
    bool holds_;
    bool runtime_runs_ = false;
    bool runtime_has_ended_ = false;
    pid_t monitor_ = 0;       ///< that is stopped
    int monitor_signal_ = 0;  ///< that it goes on with
    std::int64_t held_boot_ms_ = 0;
};

}  // namespace fallow::agent
