// The clock that all deadlines of a host count on: it goes on through sleep and does not move when somebody
// sets the wall clock.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::guard {

/// Milliseconds on CLOCK_BOOTTIME. Comparable only within one boot of the host.
[[nodiscard]] std::int64_t boot_clock_ms();

/// The kernel's id of this boot. A stored boot-clock time means nothing under another one.
[[nodiscard]] std::string current_boot_id();

}  // namespace fallow::guard
