// How long an agent waits after a try that did not succeed to speak to its server. Ten thousand that come
// back at once take each other's time, and a host with leases has only until its fence: it tries again
// soon, and the others let it go first. Pure: the clock and the chance are the caller's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fallow::agent {

inline constexpr std::int64_t try_again_ms = 1000;
inline constexpr std::int64_t leased_try_again_ms = 500;
/// Between two tries of an idle host that the server has answered, and might take for silent.
inline constexpr std::int64_t answered_again_ms_max = 7000;
inline constexpr std::int64_t idle_return_ms_unknown = 4000;  ///< until a server has said it
inline constexpr std::int64_t idle_return_ms_max = 120'000;   ///< whatever it says

enum class Failure {
    refused,     ///< nobody listens: the server is down
    unanswered,  ///< anything else without a reply: it came too late, or the connection broke
    answered,    ///< the server is there, and said no
};

struct FailedTry {
    Failure failure = Failure::unanswered;
    int in_a_row = 1;  ///< failed tries since the last acknowledgement, with this one
    bool has_lease = false;
    /// How long hosts without leases may take to come back, as the server has said: it knows how many they
    /// are.
    std::int64_t idle_return_ms = idle_return_ms_unknown;
};

/// The bounds of a pause whose length is left to chance, all lengths being equally likely.
struct Pause {
    std::int64_t least_ms = 0;
    std::int64_t most_ms = 0;
};

/// Up to a tenth earlier or later, so that those who began together do not go on together.
[[nodiscard]] constexpr Pause about(std::int64_t ms) {
    return {ms - ms / 10, ms + ms / 10};
}

/// Before the next heartbeat.
[[nodiscard]] constexpr Pause pause_after(const FailedTry& tried) {
    if (tried.has_lease) return about(leased_try_again_ms);
    const Pause soon = about(try_again_ms);
    const std::int64_t return_ms = std::clamp<std::int64_t>(tried.idle_return_ms, 0, idle_return_ms_max);
    if (tried.failure == Failure::answered)
        return {soon.least_ms, std::max(soon.most_ms, std::min(return_ms, answered_again_ms_max))};
    // One connection that breaks says nothing of the server, which counts the silence.
    if (tried.failure == Failure::unanswered && tried.in_a_row < 2) return soon;
    return {std::max(soon.least_ms, return_ms / 4), std::max(soon.most_ms, return_ms)};
}

}  // namespace fallow::agent
