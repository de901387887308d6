#include "agent/nvml.hpp"

#include <dlfcn.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <optional>

namespace fallow::agent {
namespace {

// The layouts and names below are NVML's ABI, fixed by the version suffixes of its functions (NVML API
// reference, chapters "Initialization and Cleanup", "Device Queries" and "nvmlPciInfo_t").
using NvmlDevice = void*;
using NvmlReturn = int;
constexpr NvmlReturn nvml_success = 0;

struct NvmlPciInfo {  // nvmlPciInfo_t of nvmlDeviceGetPciInfo_v3
    char bus_id_legacy[16];
    unsigned int domain;
    unsigned int bus;
    unsigned int device;
    unsigned int pci_device_id;
    unsigned int pci_subsystem_id;
    char bus_id[32];
};
static_assert(sizeof(NvmlPciInfo) == 68);

struct NvmlMemory {  // nvmlMemory_v2_t
    unsigned int version;
    unsigned long long total;
    unsigned long long reserved;
    unsigned long long free;
    unsigned long long used;
};
static_assert(sizeof(NvmlMemory) == 40);
constexpr unsigned int memory_version_2 = static_cast<unsigned int>(sizeof(NvmlMemory) | (2U << 24));

struct Library {
    void* handle = nullptr;
    NvmlReturn (*init)() = nullptr;
    NvmlReturn (*shutdown)() = nullptr;
    NvmlReturn (*count)(unsigned int*) = nullptr;
    NvmlReturn (*by_index)(unsigned int, NvmlDevice*) = nullptr;
    NvmlReturn (*uuid)(NvmlDevice, char*, unsigned int) = nullptr;
    NvmlReturn (*name)(NvmlDevice, char*, unsigned int) = nullptr;
    NvmlReturn (*pci)(NvmlDevice, NvmlPciInfo*) = nullptr;
    NvmlReturn (*memory)(NvmlDevice, NvmlMemory*) = nullptr;
    NvmlReturn (*driver)(char*, unsigned int) = nullptr;
    // What an older library may lack, and a card may not know
    NvmlReturn (*cuda)(int*) = nullptr;
    NvmlReturn (*capability)(NvmlDevice, int*, int*) = nullptr;
    NvmlReturn (*pcie_generation)(NvmlDevice, unsigned int*) = nullptr;
    NvmlReturn (*pcie_width)(NvmlDevice, unsigned int*) = nullptr;
    NvmlReturn (*power_limit)(NvmlDevice, unsigned int*) = nullptr;  ///< milliwatts
};

template <class Function>
bool load(void* handle, const char* symbol, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(handle, symbol));
    return function != nullptr;
}

void load_rest(Library& l) {
    load(l.handle, "nvmlSystemGetCudaDriverVersion_v2", l.cuda);
    load(l.handle, "nvmlDeviceGetCudaComputeCapability", l.capability);
    load(l.handle, "nvmlDeviceGetMaxPcieLinkGeneration", l.pcie_generation);
    load(l.handle, "nvmlDeviceGetMaxPcieLinkWidth", l.pcie_width);
    load(l.handle, "nvmlDeviceGetEnforcedPowerLimit", l.power_limit);
}

bool load_all(Library& l) {
    return load(l.handle, "nvmlInit_v2", l.init) && load(l.handle, "nvmlShutdown", l.shutdown) &&
           load(l.handle, "nvmlDeviceGetCount_v2", l.count) &&
           load(l.handle, "nvmlDeviceGetHandleByIndex_v2", l.by_index) &&
           load(l.handle, "nvmlDeviceGetUUID", l.uuid) && load(l.handle, "nvmlDeviceGetName", l.name) &&
           load(l.handle, "nvmlDeviceGetPciInfo_v3", l.pci) &&
           load(l.handle, "nvmlDeviceGetMemoryInfo_v2", l.memory) &&
           load(l.handle, "nvmlSystemGetDriverVersion", l.driver);
}

template <std::size_t Size>
std::string text_of(const std::array<char, Size>& buffer) {
    return std::string(buffer.data(), std::find(buffer.begin(), buffer.end(), '\0'));
}

std::optional<std::int64_t> number_of(NvmlReturn (*function)(NvmlDevice, unsigned int*),
                                      NvmlDevice device) {
    unsigned int value = 0;
    if (function == nullptr || function(device, &value) != nvml_success) return std::nullopt;
    return value;
}

void read_rest(const Library& l, NvmlDevice device, NvmlCard& card) {
    int major = 0;
    int minor = 0;
    if (l.capability != nullptr && l.capability(device, &major, &minor) == nvml_success)
        card.compute_capability = std::to_string(major) + "." + std::to_string(minor);
    card.pcie_generation = number_of(l.pcie_generation, device);
    card.pcie_width = number_of(l.pcie_width, device);
    if (const auto milliwatts = number_of(l.power_limit, device))
        card.power_limit_watts = *milliwatts / 1000;
}

/// 12040 is CUDA 12.4.
std::optional<std::string> cuda_version(const Library& l) {
    int version = 0;
    if (l.cuda == nullptr || l.cuda(&version) != nvml_success || version <= 0) return std::nullopt;
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::optional<NvmlCard> read_card(const Library& l, unsigned int index) {
    NvmlDevice device = nullptr;
    std::array<char, 96> uuid{};
    std::array<char, 96> name{};
    NvmlPciInfo pci{};
    NvmlMemory memory{};
    memory.version = memory_version_2;
    if (l.by_index(index, &device) != nvml_success ||
        l.uuid(device, uuid.data(), static_cast<unsigned int>(uuid.size())) != nvml_success ||
        l.name(device, name.data(), static_cast<unsigned int>(name.size())) != nvml_success ||
        l.pci(device, &pci) != nvml_success || l.memory(device, &memory) != nvml_success)
        return std::nullopt;
    std::array<char, sizeof pci.bus_id> bus{};
    std::copy(std::begin(pci.bus_id), std::end(pci.bus_id), bus.begin());
    NvmlCard card;
    card.uuid = text_of(uuid);
    card.name = text_of(name);
    card.pci_address = normal_pci_address(text_of(bus));
    card.memory_bytes = static_cast<std::int64_t>(memory.total);
    card.used_bytes = static_cast<std::int64_t>(memory.used);
    read_rest(l, device, card);
    return card;
}

std::vector<NvmlCard> read_cards(const Library& l) {
    std::array<char, 96> driver{};
    unsigned int count = 0;
    if (l.driver(driver.data(), static_cast<unsigned int>(driver.size())) != nvml_success ||
        l.count(&count) != nvml_success)
        return {};
    std::vector<NvmlCard> cards;
    for (unsigned int index = 0; index < count; ++index) {
        auto card = read_card(l, index);
        if (!card) {
            spdlog::warn("NVIDIA card {} does not answer and is left out", index);
            continue;
        }
        card->driver_version = text_of(driver);
        card->cuda_version = cuda_version(l);
        cards.push_back(std::move(*card));
    }
    return cards;
}

}  // namespace

std::string normal_pci_address(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::size_t kernel_length = 12;  // "0000:41:00.0"
    if (text.size() == kernel_length + 4 && text.starts_with("0000")) text.erase(0, 4);
    return text;
}

std::optional<std::vector<NvmlCard>> nvml_cards(const std::string& library) {
    Library l;
    l.handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (l.handle == nullptr) return std::nullopt;
    const std::unique_ptr<void, int (*)(void*)> closer(l.handle, ::dlclose);
    if (!load_all(l)) {
        spdlog::warn("{} lacks a function that is needed: no NVIDIA card is listed", library);
        return std::nullopt;
    }
    load_rest(l);
    if (l.init() != nvml_success) return std::vector<NvmlCard>{};
    std::vector<NvmlCard> cards = read_cards(l);
    l.shutdown();
    return cards;
}

}  // namespace fallow::agent
