// When a failed call is tried again: exponential backoff with full jitter, within one overall deadline.
#pragma once

#include <cstdint>
#include <optional>

namespace fallow::sdk {

class ApiError;

struct RetryPolicy {
    int attempts_max = 6;                ///< with the first one
    std::int64_t base_delay_ms = 200;    ///< bound of the first pause; doubles with every failure
    std::int64_t delay_ms_max = 10'000;  ///< bound of every pause
    std::int64_t deadline_ms = 60'000;   ///< for one logical call, pauses included
    std::int64_t attempt_timeout_ms = 30'000;
};

/// The pause before the next attempt, or nothing when the call is to be given up. `failures` counts from 1.
/// A pause is uniform over [0, min(delay_ms_max, base · 2^(failures-1))] ("full jitter"), so that callers
/// who failed together do not return together; it is never shorter than what the server asked for with
/// Retry-After.
[[nodiscard]] std::optional<std::int64_t> next_delay_ms(const RetryPolicy& policy, int failures,
                                                        std::int64_t elapsed_ms,
                                                        std::optional<std::int64_t> retry_after_ms,
                                                        std::uint64_t random_bits);

/// Whether a refusal is about the moment and not about the request: 408, 429 and 500 to 504, unless the
/// server says that a retry cannot help. A 409 is never repeated unasked, even a retryable one: it answers
/// about the market.
[[nodiscard]] bool is_passing(const ApiError& error);

}  // namespace fallow::sdk
