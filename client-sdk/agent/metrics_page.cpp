#include "agent/metrics_page.hpp"

#include <fmt/format.h>

#include <functional>
#include <utility>

namespace fallow::agent {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) {
        if (c == '\\' || c == '"') safe += '\\';
        safe += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return safe;
}

std::string text_of(const Labels& labels) {
    std::string text;
    for (const auto& [name, value] : labels)
        text += fmt::format("{}{}=\"{}\"", text.empty() ? "{" : ",", name, escaped(value));
    return text.empty() ? text : text + "}";
}

/// Whole where DCGM shows whole numbers, with three digits where it divides by a thousand.
std::string shown(std::int64_t value, std::int64_t divisor) {
    constexpr std::int64_t thousand = 1000;
    if (divisor != thousand) return std::to_string(value / divisor);
    return fmt::format("{}{}.{:03}", value < 0 ? "-" : "", std::abs(value) / thousand,
                       std::abs(value) % thousand);
}

void head(std::string& page, std::string_view name, std::string_view type, std::string_view help) {
    page += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

/// Several leases that share a card are named together, so that a card stays one series.
void add_leases(Labels& labels, const std::string& uuid, const std::vector<LeaseOnGpu>& leases) {
    std::string ids;
    std::string jobs;
    for (const LeaseOnGpu& lease : leases) {
        if (lease.uuid != uuid) continue;
        ids += (ids.empty() ? "" : ",") + lease.lease_id;
        if (!lease.job_id.empty()) jobs += (jobs.empty() ? "" : ",") + lease.job_id;
    }
    if (!ids.empty()) labels.emplace_back("fallow_lease", ids);
    if (!jobs.empty()) labels.emplace_back("fallow_job", jobs);
}

Labels labels_of(const GpuReading& gpu, const MetricsMoment& moment) {
    Labels labels = {{"gpu", std::to_string(gpu.index)},
                     {"UUID", gpu.uuid},
                     {"pci_bus_id", gpu.pci_bus_id},
                     {"device", "nvidia" + std::to_string(gpu.index)},
                     {"modelName", gpu.name}};
    if (!gpu.mig_profile.empty()) labels.emplace_back("GPU_I_PROFILE", gpu.mig_profile);
    labels.emplace_back("Hostname", moment.hostname);
    add_leases(labels, gpu.uuid, moment.leases);
    return labels;
}

void add_gpus(std::string& page, const MetricsMoment& moment) {
    for (const DcgmField& field : dcgm_fields()) {
        bool has_head = false;
        for (const GpuReading& gpu : moment.gpus) {
            const auto value = gpu.value(field);
            if (!value) continue;
            if (!std::exchange(has_head, true)) head(page, field.name, field.type, field.help);
            page += fmt::format("{}{} {}\n", field.name, text_of(labels_of(gpu, moment)),
                                shown(*value, field.divisor));
        }
    }
}

Labels labels_of(const GuestOnProcessor& guest, const std::string& hostname) {
    Labels labels = {{"gpu", std::to_string(guest.index)},
                     {"UUID", guest.uuid},
                     {"modelName", guest.product},
                     {"device_class", "cpu"},
                     {"source", "cgroup"},
                     {"Hostname", hostname},
                     {"fallow_lease", guest.lease_id}};
    if (!guest.job_id.empty()) labels.emplace_back("fallow_job", guest.job_id);
    return labels;
}

void add_guests(std::string& page, const MetricsMoment& moment) {
    constexpr std::int64_t ns_per_us = 1000;
    constexpr std::int64_t us_per_s = 1'000'000;
    const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                         const std::function<std::string(const GuestOnProcessor&)>& value) {
        if (moment.guests.empty()) return;
        head(page, name, type, help);
        for (const GuestOnProcessor& guest : moment.guests)
            page +=
                fmt::format("{}{} {}\n", name, text_of(labels_of(guest, moment.hostname)), value(guest));
    };
    add("fallow_guest_cpu_seconds_total", "counter", "Processor time that the guest has used.",
        [&](const GuestOnProcessor& guest) {
            const std::int64_t us = guest.use.cpu_ns / ns_per_us;
            return fmt::format("{}.{:06}", us / us_per_s, us % us_per_s);
        });
    add("fallow_guest_cpu_limit_cores", "gauge", "Processors that the guest may use.",
        [](const GuestOnProcessor& guest) { return shown(guest.cpu_millis, 1000); });
    add("fallow_guest_memory_used_bytes", "gauge", "Memory that the guest uses.",
        [](const GuestOnProcessor& guest) { return std::to_string(guest.use.memory_used_bytes); });
    add("fallow_guest_memory_limit_bytes", "gauge", "Memory that the guest may use.",
        [](const GuestOnProcessor& guest) { return std::to_string(guest.memory_bytes); });
}

}  // namespace

std::string metrics_page(const MetricsMoment& moment) {
    std::string page;
    add_gpus(page, moment);
    add_guests(page, moment);
    head(page, "fallow_telemetry_minutes_waiting", "gauge", "Minutes that the server has not yet.");
    page += fmt::format("fallow_telemetry_minutes_waiting {}\n", moment.minutes_waiting);
    head(page, "fallow_telemetry_minutes_dropped_total", "counter",
         "Minutes that were given up, because the server was away for too long or refused them.");
    page += fmt::format("fallow_telemetry_minutes_dropped_total {}\n", moment.minutes_dropped);
    return page;
}

}  // namespace fallow::agent
