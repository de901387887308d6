// The clock, the pause and the randomness of the SDK, so that a test can supply its own.
#pragma once

#include <cstdint>
#include <stop_token>

namespace fallow::sdk {

class Environment {
  public:
    virtual ~Environment() = default;
    /// Milliseconds on a clock that never goes back; its zero means nothing.
    [[nodiscard]] virtual std::int64_t now_ms() = 0;
    /// Returns early when a stop is requested.
    virtual void pause(std::int64_t duration_ms, const std::stop_token& stop) = 0;
    [[nodiscard]] virtual std::uint64_t random_bits() = 0;
};

/// The real one, shared by the whole process and safe in every thread.
[[nodiscard]] Environment& system_environment();

}  // namespace fallow::sdk
