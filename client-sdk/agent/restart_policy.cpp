#include "agent/restart_policy.hpp"

#include <algorithm>

namespace fallow::agent {
namespace {

/// Nobody had wanted its end, nor had the job itself.
bool ended_by_itself(const LeaseRecord& record) {
    return is_wanted(record) && record.stop_cause == StopCause::none &&
           record.own_stop == StopCause::none && record.terminated_boot_ms == 0 && !record.kill_sent;
}

bool is_covered(const RestartSpec& spec, const ContainerExit& exit) {
    if (exit.exit_code == 0) return false;
    if (spec.exit_codes.empty()) return !exit.oom_killed;
    return std::ranges::find(spec.exit_codes, exit.exit_code) != spec.exit_codes.end();
}

std::int64_t doubled(std::int64_t delay_ms, std::int64_t times) {
    for (; times > 0 && delay_ms < restart_delay_ms_max; --times)
        delay_ms *= 2;
    return std::min(delay_ms, restart_delay_ms_max);
}

}  // namespace

std::optional<std::int64_t> restart_delay_ms(const LeaseRecord& record, const ContainerExit& exit) {
    if (!record.desired.spec || !record.desired.spec->restart) return std::nullopt;
    const RestartSpec& spec = *record.desired.spec->restart;
    const bool is_left = record.restarts < spec.restarts_max;
    if (!is_left || !ended_by_itself(record) || !is_covered(spec, exit)) return std::nullopt;
    return doubled(spec.delay_ms, record.restarts);
}

}  // namespace fallow::agent
