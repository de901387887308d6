#include "agent/cpu_use.hpp"

#include <utility>

namespace fallow::agent {

std::optional<std::int64_t> CpuUse::percent(std::optional<std::int64_t> used_ns, std::int64_t now_boot_ms,
                                            std::int64_t cpu_millis) {
    const auto before_ns = std::exchange(used_ns_, used_ns);
    const std::int64_t span_ms = now_boot_ms - std::exchange(at_boot_ms_, now_boot_ms);
    if (!used_ns || !before_ns || *used_ns < *before_ns || span_ms <= 0 || cpu_millis <= 0)
        return std::nullopt;
    // ns / (ms × cores × 1e6) × 100, with cores in thousandths
    return (*used_ns - *before_ns) / 10 / (span_ms * cpu_millis);
}

}  // namespace fallow::agent
