// Runs a program that may hang for good, as what calls a vendor's driver does, and never hangs with it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

struct WatchLimits {
    std::int64_t silence_ms = 60'000;  ///< without an octet on its standard output
    std::int64_t total_ms = 900'000;
    std::size_t output_bytes_max = 4U << 20;
    bool keeps_output = true;  ///< else only `on_output` gets it, however much there is
    bool with_errors = false;  ///< standard error is read with the output; else it is the caller's
};

enum class ProcessEnd {
    exited,
    crashed,   ///< by a signal of its own
    silent,    ///< killed: it said nothing for too long
    too_long,  ///< killed: it did not come to its end
    too_much,  ///< killed: it said too much
    stopped,   ///< killed: the caller's stop token
};

struct WatchedProcess {
    ProcessEnd end = ProcessEnd::exited;
    int code = 0;  ///< the exit code, or the signal of a crash
    std::string output;
    /// It was killed and does not die: the driver holds it in the kernel. It is left behind.
    std::optional<pid_t> stuck;
};

/// "did not answer for 60 s and was ended" and the like; for `exited` with its code.
[[nodiscard]] std::string describe(const WatchedProcess& process, const WatchLimits& limits);

/// `on_output` gets the standard output as it comes. Standard input is empty, the signal mask
/// cleared. Throws std::runtime_error when the program cannot be started.
[[nodiscard]] WatchedProcess run_watched(const std::vector<std::string>& words, const WatchLimits& limits,
                                         std::stop_token stop,
                                         const std::function<void(std::string_view)>& on_output = {});

/// Whether a process that was left behind has died meanwhile; it is reaped then.
[[nodiscard]] bool is_gone(pid_t stuck);

}  // namespace fallow::agent
