// The two clocks of the agent. Deadlines and metering count on the boot clock, which goes on through sleep
// and does not move when somebody sets the wall clock; the server's clock is only ever known as an offset
// to it.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "guard/clock.hpp"

namespace fallow::agent {

using guard::boot_clock_ms;
using guard::current_boot_id;

/// Milliseconds since 1970, by the host's own clock.
[[nodiscard]] std::int64_t wall_clock_ms();

/// "2026-01-02T03:04:05.678Z" to milliseconds since 1970; the fraction may have 0 to 9 digits (engines
/// write nanoseconds). Nothing unless the text is exactly that and in UTC.
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text);
[[nodiscard]] std::string format_rfc3339(std::int64_t unix_ms);

/// Waits so long, or until the stop.
void pause_for(std::int64_t ms, const std::stop_token& stop);

}  // namespace fallow::agent
