// The part of the container engine's API that goes into a running container: further processes, and what it
// writes. Like Engine it carries out single acts and decides nothing.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/engine.hpp"
#include "fallow/channel.hpp"

namespace fallow::agent {

/// A further process of a guest's: it has the container's user, limits, seccomp filter and environment, and
/// no more rights than its first.
struct ExecSpec {
    std::vector<std::string> command;
    std::map<std::string, std::string> env;  ///< besides the container's own
    std::string folder;                      ///< empty: the container's
    bool has_input = false;
    bool has_terminal = false;
};

struct ExecState {
    bool is_running = false;
    std::int64_t exit_code = 0;
    std::int64_t pid = 0;  ///< on the host; 0 when it is not known
};

/// Sends a signal to a further process of a container, and to no other that has got its number since.
void signal_exec(const ExecState& state, std::int64_t container_pid, int signal_number);

/// Whether the container's processes stand still: paused by its engine, or frozen through its control
/// group, which the engine takes for running. A further process would be refused by one engine, and with
/// another wait for as long as they stand. Throws EngineError or sdk::TransportError.
[[nodiscard]] bool is_frozen(Engine& engine, const std::string& container_id);

/// One thread at a time. Everything throws EngineError or sdk::TransportError.
class EngineExec {
  public:
    explicit EngineExec(const std::string& socket_path);

    /// The id of a process that is not started yet.
    [[nodiscard]] std::string create(const std::string& container_id, const ExecSpec& spec);
    /// Starts it; its streams, multiplexed unless it has a terminal.
    [[nodiscard]] sdk::Upgraded start(const std::string& exec_id, bool has_terminal, std::stop_token stop);
    /// False when it does not run (yet).
    bool resize(const std::string& exec_id, int columns, int rows);
    [[nodiscard]] ExecState inspect(const std::string& exec_id);
    /// What the container writes from now on, multiplexed.
    [[nodiscard]] sdk::Upgraded attach(const std::string& container_id, std::stop_token stop);

  private:
    sdk::Upgraded hijack(const std::string& path, const std::string& body, std::stop_token stop);

    EngineLine line_;
};

}  // namespace fallow::agent
