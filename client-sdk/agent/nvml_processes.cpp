#include "agent/nvml_processes.hpp"

#include <algorithm>

namespace fallow::agent::nvml {
namespace {

constexpr unsigned int processes_max = 1024;
constexpr unsigned long long not_available = ~0ULL;

std::optional<std::vector<ProcessInfo>> ask(Api::Processes function, Device device) {
    if (function == nullptr) return std::nullopt;
    std::vector<ProcessInfo> processes(processes_max);
    unsigned int count = processes_max;
    if (function(device, &count, processes.data()) != success) return std::nullopt;
    processes.resize(std::min(count, processes_max));
    return processes;
}

/// Of one that does both, what it computes is told first and counts.
void add(std::vector<CardProcess>& all, const ProcessInfo& info, bool computes) {
    const auto pid = static_cast<std::int64_t>(info.pid);
    if (std::ranges::find(all, pid, &CardProcess::pid) != all.end()) return;
    CardProcess& process = all.emplace_back();
    process.pid = pid;
    process.computes = computes;
    if (info.used_bytes != not_available) process.used_bytes = static_cast<std::int64_t>(info.used_bytes);
}

}  // namespace

std::optional<std::vector<CardProcess>> read_processes(const Api& api, Device device) {
    const auto computing = ask(api.compute_processes, device);
    const auto drawing = ask(api.graphics_processes, device);
    if (!computing) return std::nullopt;
    std::vector<CardProcess> all;
    for (const ProcessInfo& info : *computing)
        add(all, info, true);
    for (const ProcessInfo& info : drawing.value_or(std::vector<ProcessInfo>()))
        add(all, info, false);
    std::ranges::sort(all, {}, &CardProcess::pid);
    std::ranges::for_each(all, look_up);
    return all;
}

}  // namespace fallow::agent::nvml
