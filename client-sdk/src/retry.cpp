#include "fallow/retry.hpp"

#include <algorithm>

#include "fallow/errors.hpp"

namespace fallow::sdk {

std::optional<std::int64_t> next_delay_ms(const RetryPolicy& policy, int failures, std::int64_t elapsed_ms,
                                          std::optional<std::int64_t> retry_after_ms,
                                          std::uint64_t random_bits) {
    if (failures >= policy.attempts_max) return std::nullopt;
    const int doublings = std::clamp(failures - 1, 0, 30);
    const std::int64_t grown = policy.base_delay_ms << doublings;
    const std::int64_t bound = std::clamp<std::int64_t>(grown, 0, policy.delay_ms_max);
    const auto jittered = static_cast<std::int64_t>(random_bits % (static_cast<std::uint64_t>(bound) + 1));
    const std::int64_t delay = std::max(jittered, retry_after_ms.value_or(0));
    if (elapsed_ms + delay >= policy.deadline_ms) return std::nullopt;
    return delay;
}

bool is_passing(const ApiError& error) {
    const int status = error.status();
    const bool foreign =
        error.code().empty();  // from a proxy on the way, which knows nothing of `retryable`
    switch (status) {
        case 408:
        case 429:
        case 502:
        case 503:
        case 504:
            return foreign || error.retryable();
        case 500:
            return !foreign && error.retryable();
        default:
            return false;
    }
}

}  // namespace fallow::sdk
