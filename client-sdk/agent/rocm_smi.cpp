#include "agent/rocm_smi.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

namespace fallow::agent {
namespace {

using Status = int;
constexpr Status success = 0;
constexpr std::uint32_t devices_max = 1024;
constexpr int memory_of_card = 0;             // RSMI_MEM_TYPE_VRAM
constexpr std::uint32_t sensor_at_edge = 0;   // RSMI_TEMP_TYPE_EDGE
constexpr int temperature_now = 0;            // RSMI_TEMP_CURRENT
constexpr std::uint32_t sensor_of_power = 0;  // "Normally, this will be 0"
constexpr std::int64_t micro = 1'000'000;
constexpr std::int64_t milli = 1000;

/// Of other versions, and where AMD's own packages install it.
constexpr std::array<const char*, 4> other_names{"librocm_smi64.so.7", "librocm_smi64.so.6",
                                                 "librocm_smi64.so.5", "/opt/rocm/lib/librocm_smi64.so"};

struct Api {
    Status (*init)(std::uint64_t flags) = nullptr;
    Status (*shut_down)() = nullptr;
    Status (*count)(std::uint32_t*) = nullptr;
    Status (*pci)(std::uint32_t, std::uint64_t*) = nullptr;
    // What an older library may lack, and a card may not know
    Status (*market_name)(std::uint32_t, char*, std::uint32_t) = nullptr;
    Status (*name)(std::uint32_t, char*, std::size_t) = nullptr;
    Status (*memory_used)(std::uint32_t, int, std::uint64_t*) = nullptr;
    Status (*power)(std::uint32_t, std::uint64_t*, int*) = nullptr;                     ///< microwatts
    Status (*average_power)(std::uint32_t, std::uint32_t, std::uint64_t*) = nullptr;    ///< microwatts
    Status (*power_limit)(std::uint32_t, std::uint32_t, std::uint64_t*) = nullptr;      ///< microwatts
    Status (*temperature)(std::uint32_t, std::uint32_t, int, std::int64_t*) = nullptr;  ///< millidegrees
};

template <class Function>
bool find(void* handle, const char* symbol, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(handle, symbol));
    return function != nullptr;
}

bool load(void* handle, Api& a) {
    find(handle, "rsmi_dev_market_name_get", a.market_name);
    find(handle, "rsmi_dev_name_get", a.name);
    find(handle, "rsmi_dev_memory_usage_get", a.memory_used);
    find(handle, "rsmi_dev_power_get", a.power);
    find(handle, "rsmi_dev_power_ave_get", a.average_power);
    find(handle, "rsmi_dev_power_cap_get", a.power_limit);
    find(handle, "rsmi_dev_temp_metric_get", a.temperature);
    return find(handle, "rsmi_init", a.init) && find(handle, "rsmi_shut_down", a.shut_down) &&
           find(handle, "rsmi_num_monitor_devices", a.count) && find(handle, "rsmi_dev_pci_id_get", a.pci);
}

void* open_library(const std::string& library) {
    void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != rocm_library_default) return handle;
    for (const char* const name : other_names)
        if (handle == nullptr) handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    return handle;
}

/// A card whose product nobody has heard of is named by its number, like 0x740f: that is no name.
std::string product_of(const Api& api, std::uint32_t index) {
    std::array<char, 256> text{};
    const auto told = [&](Status status) {
        text.back() = '\0';
        const std::string name(text.data());
        text.fill('\0');
        return status == success && !name.starts_with("0x") ? name : std::string();
    };
    std::string name;
    if (api.market_name != nullptr)
        name = told(api.market_name(index, text.data(), static_cast<std::uint32_t>(text.size())));
    if (name.empty() && api.name != nullptr) name = told(api.name(index, text.data(), text.size()));
    return name;
}

std::optional<std::int64_t> power_of(const Api& api, std::uint32_t index) {
    std::uint64_t microwatts = 0;
    int kind = 0;
    const bool is_told =
        (api.power != nullptr && api.power(index, &microwatts, &kind) == success) ||
        (api.average_power != nullptr && api.average_power(index, sensor_of_power, &microwatts) == success);
    return is_told ? std::optional(static_cast<std::int64_t>(microwatts) / micro) : std::nullopt;
}

std::optional<CardFacts> read_card(const Api& api, std::uint32_t index) {
    constexpr std::uint64_t partition_bits = 0xF000'0000;
    std::uint64_t id = 0;
    if (api.pci(index, &id) != success || (id & partition_bits) != 0) return std::nullopt;
    CardFacts card;
    card.pci_address = pci_address_of(id);
    card.product = product_of(api, index);
    card.moment.power_watts = power_of(api, index);
    std::uint64_t number = 0;
    if (api.power_limit != nullptr && api.power_limit(index, sensor_of_power, &number) == success)
        card.power_limit_watts = static_cast<std::int64_t>(number) / micro;
    if (api.memory_used != nullptr && api.memory_used(index, memory_of_card, &number) == success)
        card.claims.used_bytes = static_cast<std::int64_t>(number);
    std::int64_t millidegrees = 0;
    if (api.temperature != nullptr &&
        api.temperature(index, sensor_at_edge, temperature_now, &millidegrees) == success)
        card.moment.temperature_celsius = millidegrees / milli;
    return card;
}

template <class T>
void fill(std::optional<T>& known, const std::optional<T>& told) {
    if (!known) known = told;
}

}  // namespace

std::vector<CardFacts> rocm_cards(const std::string& library) {
    std::vector<CardFacts> cards;
    const std::unique_ptr<void, int (*)(void*)> handle(open_library(library), ::dlclose);
    Api api;
    if (handle == nullptr || !load(handle.get(), api) || api.init(0) != success) return cards;
    std::uint32_t count = 0;
    if (api.count(&count) != success) count = 0;
    for (std::uint32_t index = 0; index < std::min(count, devices_max); ++index)
        if (auto card = read_card(api, index)) cards.push_back(std::move(*card));
    api.shut_down();
    return cards;
}

std::string pci_address_of(std::uint64_t id) {
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", id >> 32, (id >> 8) & 0xFF, (id >> 3) & 0x1F, id & 0x7);
}

void fill_in(std::vector<CardFacts>& cards, const std::vector<CardFacts>& told) {
    for (CardFacts& card : cards) {
        const auto found = std::find_if(told.begin(), told.end(), [&](const CardFacts& other) {
            return other.pci_address == card.pci_address;
        });
        if (found == told.end()) continue;
        if (card.product.empty()) card.product = found->product;
        fill(card.power_limit_watts, found->power_limit_watts);
        fill(card.claims.used_bytes, found->claims.used_bytes);
        fill(card.moment.power_watts, found->moment.power_watts);
        fill(card.moment.temperature_celsius, found->moment.temperature_celsius);
    }
}

}  // namespace fallow::agent
