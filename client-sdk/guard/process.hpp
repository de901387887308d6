// One process of this host, told from a later one with the same number by the moment it began.
#pragma once

#include <cstdint>
#include <optional>

#include "guard/descriptor.hpp"

namespace fallow::guard {

/// When the process began, in clock ticks since the boot; nothing when there is none. proc(5), field 22.
[[nodiscard]] std::optional<std::int64_t> start_ticks_of(std::int64_t pid);
/// Ticks on the boot clock.
[[nodiscard]] std::int64_t ticks_to_boot_ms(std::int64_t ticks);

[[nodiscard]] bool is_alive(std::int64_t pid, std::int64_t start_ticks);
/// Becomes readable when that process ends; empty (-1) when it has ended already.
[[nodiscard]] Descriptor watch_process(std::int64_t pid, std::int64_t start_ticks);
/// False when it had ended already.
bool kill_process(std::int64_t pid, std::int64_t start_ticks);

}  // namespace fallow::guard
