#include "agent/lease.hpp"

#include <array>
#include <utility>

namespace fallow::agent {
namespace {

constexpr std::array<std::pair<StopCause, std::string_view>, 9> stop_causes = {{
    {StopCause::none, "none"},
    {StopCause::wanted, "wanted"},
    {StopCause::duration, "duration"},
    {StopCause::run_until, "run_until"},
    {StopCause::paid_until, "paid_until"},
    {StopCause::fenced_too_long, "fenced_too_long"},
    {StopCause::reclaimed, "reclaimed"},
    {StopCause::unhealthy, "unhealthy"},
    {StopCause::idle, "idle"},
}};

}  // namespace

std::string_view name_of(StopCause cause) {
    for (const auto& [value, name] : stop_causes)
        if (value == cause) return name;
    return "none";
}

StopCause stop_cause_named(std::string_view name) {
    for (const auto& [value, text] : stop_causes)
        if (text == name) return value;
    return StopCause::none;
}

bool is_wanted(const LeaseRecord& record) {
    return record.desired.run && !record.reclaim_until_boot_ms;
}

bool is_given_to_guests(std::string_view backend) {
    return backend == "nvml";
}

bool awaits_gang(const LeaseRecord& record) {
    const DesiredLease& lease = record.desired;
    if (!lease.spec || !lease.spec->has_gang_network) return false;
    return !record.gang_reported || !lease.gang || !lease.gang->is_whole();
}

}  // namespace fallow::agent
