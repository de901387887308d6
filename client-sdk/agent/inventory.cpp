#include "agent/inventory.hpp"

#include <spdlog/spdlog.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/clock.hpp"
#include "agent/nvml.hpp"
#include "agent/opencl.hpp"
#include "agent/server_link.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

json capacity_json(const std::optional<CardCapacity>& capacity) {
    if (!capacity) return nullptr;
    return {{"vram_bytes", capacity->vram_bytes},
            {"memory_bandwidth_bytes_per_s", capacity->memory_bandwidth_bytes_per_s},
            {"fp32_flops", capacity->fp32_flops},
            {"measured_at", format_rfc3339(capacity->measured_unix_ms)}};
}

template <class T>
json or_null(const std::optional<T>& value) {
    return value ? json(*value) : json(nullptr);
}

template <class T>
std::optional<T> optional_from(const json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? std::nullopt : std::optional<T>(found->get<T>());
}

json card_json(const CardFacts& card) {
    return {{"index", card.index},
            {"uuid", card.uuid},
            {"pci_address", card.pci_address.empty() ? json(nullptr) : json(card.pci_address)},
            {"product", card.product},
            {"vendor", card.vendor},
            {"device_class", card.device_class},
            {"backend", card.backend},
            {"driver_version", card.driver_version},
            {"cuda_version", or_null(card.cuda_version)},
            {"compute_capability", or_null(card.compute_capability)},
            {"pcie_generation", or_null(card.pcie_generation)},
            {"pcie_width", or_null(card.pcie_width)},
            {"power_limit_watts", or_null(card.power_limit_watts)},
            {"capacity", capacity_json(card.capacity)}};
}

json cards_json(const std::vector<CardFacts>& cards) {
    json array = json::array();
    for (const CardFacts& card : cards)
        array.push_back(card_json(card));
    return array;
}

CardFacts card_from(const json& object) {
    CardFacts card;
    card.index = object.at("index").get<std::int64_t>();
    card.uuid = object.at("uuid").get<std::string>();
    if (!object.at("pci_address").is_null()) card.pci_address = object.at("pci_address").get<std::string>();
    card.product = object.at("product").get<std::string>();
    card.vendor = object.at("vendor").get<std::string>();
    card.device_class = object.at("device_class").get<std::string>();
    card.backend = object.at("backend").get<std::string>();
    card.driver_version = object.at("driver_version").get<std::string>();
    card.cuda_version = optional_from<std::string>(object, "cuda_version");
    card.compute_capability = optional_from<std::string>(object, "compute_capability");
    card.pcie_generation = optional_from<std::int64_t>(object, "pcie_generation");
    card.pcie_width = optional_from<std::int64_t>(object, "pcie_width");
    card.power_limit_watts = optional_from<std::int64_t>(object, "power_limit_watts");
    if (const json& capacity = object.at("capacity"); !capacity.is_null())
        card.capacity =
            CardCapacity{capacity.at("vram_bytes").get<std::int64_t>(),
                         capacity.at("memory_bandwidth_bytes_per_s").get<std::int64_t>(),
                         capacity.at("fp32_flops").get<std::int64_t>(),
                         parse_rfc3339(capacity.at("measured_at").get<std::string>()).value_or(0)};
    return card;
}

}  // namespace

std::int64_t host_cpu_cores() {
    return std::max<long>(1, ::sysconf(_SC_NPROCESSORS_ONLN));
}

std::int64_t host_memory_bytes() {
    return static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
}

std::optional<std::string> host_cpu_architecture() {
    utsname system{};
    if (::uname(&system) != 0) return std::nullopt;
    return std::string(static_cast<const char*>(system.machine));
}

std::optional<std::int64_t> disk_bytes_of(const std::string& folder) {
    struct statvfs system {};
    if (::statvfs(folder.c_str(), &system) != 0) return std::nullopt;
    return static_cast<std::int64_t>(system.f_blocks) * static_cast<std::int64_t>(system.f_frsize);
}

std::vector<CardFacts> merge_cards(std::vector<CardFacts> nvml, std::vector<CardFacts> opencl) {
    std::vector<CardFacts> all = std::move(nvml);
    const std::size_t nvml_count = all.size();
    for (CardFacts& device : opencl) {
        const auto nvml_end = all.begin() + static_cast<std::ptrdiff_t>(nvml_count);
        const auto twin = std::find_if(all.begin(), nvml_end, [&](const CardFacts& card) {
            return !card.pci_address.empty() && card.pci_address == device.pci_address;
        });
        if (twin == nvml_end) {
            all.push_back(std::move(device));
        } else if (!twin->capacity) {
            twin->capacity = device.capacity;
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i].index = static_cast<std::int64_t>(i);
    return all;
}

std::vector<CardFacts> discover_cards(const MeasureOptions& options, const std::vector<CardFacts>& known) {
    std::vector<CardFacts> nvml;
    for (const NvmlCard& card : nvml_cards("libnvidia-ml.so.1"))
        nvml.push_back({.index = 0,
                        .uuid = card.uuid,
                        .pci_address = card.pci_address,
                        .product = card.name,
                        .vendor = "NVIDIA",
                        .device_class = "gpu",
                        .backend = "nvml",
                        .driver_version = card.driver_version,
                        .cuda_version = card.cuda_version,
                        .compute_capability = card.compute_capability,
                        .pcie_generation = card.pcie_generation,
                        .pcie_width = card.pcie_width,
                        .power_limit_watts = card.power_limit_watts,
                        .capacity = std::nullopt});
    std::vector<CardFacts> cards = merge_cards(std::move(nvml), opencl_cards(options, known));
    for (CardFacts& card : cards) {
        const auto before = std::find_if(known.begin(), known.end(),
                                         [&](const CardFacts& other) { return other.uuid == card.uuid; });
        if (!card.capacity && before != known.end()) card.capacity = before->capacity;
    }
    return cards;
}

std::string encode_inventory(const HostDescription& host, const std::vector<CardFacts>& cards) {
    return json{{"boot_id", host.boot_id},
                {"agent_version", agent_version},
                {"runtime", host.runtime},
                {"engine", host.engine},
                {"cpu_cores", host.cpu_cores},
                {"memory_bytes", host.memory_bytes},
                {"cpu_architecture", or_null(host.cpu_architecture)},
                {"disk_bytes", or_null(host.disk_bytes)},
                {"cards", cards_json(cards)}}
        .dump();
}

std::string encode_cards(const std::vector<CardFacts>& cards) {
    return cards_json(cards).dump(1);
}

std::vector<CardFacts> parse_cards(std::string_view text) {
    try {
        std::vector<CardFacts> cards;
        for (const json& item : json::parse(text))
            cards.push_back(card_from(item));
        return cards;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("the stored cards have not the expected form: ") +
                                 error.what());
    }
}

}  // namespace fallow::agent
