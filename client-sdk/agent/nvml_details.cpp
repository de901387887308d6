#include "agent/nvml_details.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fallow::agent::nvml {
namespace {

constexpr unsigned int links_max = 32;  // NVML_NVLINK_MAX_LINKS is 18 today; the first refusal ends it
constexpr unsigned int peer_is_gpu = 0;
constexpr unsigned int peer_is_switch = 2;
constexpr unsigned int link_speed_field = 90;  // NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON, of links that are up
constexpr int clock_of_processors = 1;
constexpr int sensor_of_gpu = 0;
constexpr int uncorrected = 1;
constexpr int whole_life = 1;
constexpr std::int64_t mega = 1'000'000;

std::optional<std::int64_t> number_of(Api::Number function, Device device) {
    unsigned int value = 0;
    if (function == nullptr || function(device, &value) != success) return std::nullopt;
    return value;
}

std::optional<std::int64_t> number_of(Return (*function)(Device, int, unsigned int*), Device device,
                                      int which) {
    unsigned int value = 0;
    if (function == nullptr || function(device, which, &value) != success) return std::nullopt;
    return value;
}

std::optional<std::int64_t> watts(std::optional<std::int64_t> milliwatts) {
    return milliwatts ? std::optional(*milliwatts / 1000) : std::nullopt;
}

void read_ecc(const Api& api, Device device, CardDetails& details) {
    unsigned int now = 0;
    unsigned int later = 0;
    if (api.ecc_mode == nullptr || api.ecc_mode(device, &now, &later) != success) return;
    details.ecc = now == 1;
    unsigned long long errors = 0;
    if (api.ecc_errors != nullptr && api.ecc_errors(device, uncorrected, whole_life, &errors) == success)
        details.ecc_errors = static_cast<std::int64_t>(errors);
}

void read_peer(const Api& api, Device device, unsigned int link, NvmlCard& card) {
    unsigned int kind = 255;
    PciInfo pci{};
    if (api.link_peer_kind == nullptr || api.link_peer_kind(device, link, &kind) != success) return;
    if (kind == peer_is_switch) card.reaches_switch = true;
    if (kind != peer_is_gpu || api.link_peer == nullptr || api.link_peer(device, link, &pci) != success)
        return;
    const std::string bus(std::begin(pci.bus_id),
                          std::find(std::begin(pci.bus_id), std::end(pci.bus_id), '\0'));
    card.link_peers.push_back(normal_pci_address(bus));
}

void read_links(const Api& api, Device device, NvmlCard& card) {
    if (api.link_state == nullptr) return;
    std::int64_t up = 0;
    bool has_links = false;
    for (unsigned int link = 0; link < links_max; ++link) {
        unsigned int is_up = 0;
        if (api.link_state(device, link, &is_up) != success) break;
        has_links = true;
        if (is_up == 0) continue;
        ++up;
        read_peer(api, device, link, card);
    }
    if (!has_links) return;
    card.details.nvlink_links = up;
    FieldValue speed{};
    speed.field = link_speed_field;
    if (up > 0 && api.fields != nullptr && api.fields(device, 1, &speed) == success &&
        speed.result == success)
        card.details.nvlink_bytes_per_s = up * mega * speed.value.number;
}

}  // namespace

void read_details(const Api& api, Device device, NvmlCard& card) {
    int major = 0;
    int minor = 0;
    if (api.capability != nullptr && api.capability(device, &major, &minor) == success)
        card.compute_capability = fmt::format("{}.{}", major, minor);
    card.pcie_generation = number_of(api.pcie_generation_max, device);
    card.pcie_width = number_of(api.pcie_width_max, device);
    card.power_limit_watts = watts(number_of(api.power_limit, device));
    card.details.clock_mhz = number_of(api.clock_max, device, clock_of_processors);
    card.moment.power_watts = watts(number_of(api.power, device));
    card.moment.temperature_celsius = number_of(api.temperature, device, sensor_of_gpu);
    card.moment.clock_mhz = number_of(api.clock, device, clock_of_processors);
    card.moment.pcie_generation = number_of(api.pcie_generation, device);
    card.moment.pcie_width = number_of(api.pcie_width, device);
    read_ecc(api, device, card.details);
    read_links(api, device, card);
}

bool is_divided(const Api& api, Device device) {
    unsigned int now = 0;
    unsigned int later = 0;
    return api.mig_mode != nullptr && api.mig_mode(device, &now, &later) == success && now == 1;
}

std::string mig_profile(const Api& api, Device instance, const std::string& name) {
    constexpr std::string_view word = " MIG ";
    if (const auto at = name.find(word); at != name.npos) return name.substr(at + word.size());
    Attributes attributes{};
    if (api.attributes == nullptr || api.attributes(instance, &attributes) != success) return {};
    const unsigned long long gib = (attributes.memory_mib + 1023) / 1024;
    if (attributes.compute_slices == attributes.gpu_slices)
        return fmt::format("{}g.{}gb", attributes.gpu_slices, gib);
    return fmt::format("{}c.{}g.{}gb", attributes.compute_slices, attributes.gpu_slices, gib);
}

}  // namespace fallow::agent::nvml
