#include "agent/nvml.hpp"

#include <dlfcn.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <memory>
#include <optional>

#include "agent/nvml_api.hpp"
#include "agent/nvml_details.hpp"
#include "agent/nvml_processes.hpp"

namespace fallow::agent {
namespace {

using nvml::success;

constexpr unsigned int instances_max = 64;

/// The library, opened and started for as long as this lives.
class LoadedNvml {
  public:
    explicit LoadedNvml(const std::string& library)
        : handle_(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL), ::dlclose) {
        api_.handle = handle_.get();
        if (api_.handle == nullptr) return;
        is_there_ = nvml::load(api_);
        if (!is_there_)
            spdlog::warn("{} lacks a function that is needed: no NVIDIA card is listed", library);
        else
            is_started_ = api_.init() == success;
    }
    ~LoadedNvml() {
        if (is_started_) api_.shutdown();
    }
    LoadedNvml(const LoadedNvml&) = delete;
    LoadedNvml& operator=(const LoadedNvml&) = delete;

    [[nodiscard]] bool is_there() const { return is_there_; }
    [[nodiscard]] bool is_started() const { return is_started_; }
    [[nodiscard]] const nvml::Api& api() const { return api_; }

  private:
    std::unique_ptr<void, int (*)(void*)> handle_;
    nvml::Api api_;
    bool is_there_ = false;
    bool is_started_ = false;
};

template <std::size_t Size>
std::string text_of(const std::array<char, Size>& buffer) {
    return std::string(buffer.data(), std::find(buffer.begin(), buffer.end(), '\0'));
}

/// 12040 is CUDA 12.4.
std::optional<std::string> cuda_version(const nvml::Api& api) {
    int version = 0;
    if (api.cuda == nullptr || api.cuda(&version) != success || version <= 0) return std::nullopt;
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// Who it is, and what memory it states.
bool read_identity(const nvml::Api& api, nvml::Device device, NvmlCard& card) {
    std::array<char, 96> uuid{};
    std::array<char, 96> name{};
    nvml::Memory memory{};
    memory.version = nvml::memory_version_2;
    if (api.uuid(device, uuid.data(), static_cast<unsigned int>(uuid.size())) != success ||
        api.name(device, name.data(), static_cast<unsigned int>(name.size())) != success ||
        api.memory(device, &memory) != success)
        return false;
    card.uuid = text_of(uuid);
    card.name = text_of(name);
    card.memory_bytes = static_cast<std::int64_t>(memory.total);
    card.used_bytes = static_cast<std::int64_t>(memory.used);
    return true;
}

std::optional<NvmlCard> read_card(const nvml::Api& api, nvml::Device device) {
    NvmlCard card;
    nvml::PciInfo pci{};
    if (!read_identity(api, device, card) || api.pci(device, &pci) != success) return std::nullopt;
    std::array<char, sizeof pci.bus_id> bus{};
    std::copy(std::begin(pci.bus_id), std::end(pci.bus_id), bus.begin());
    card.pci_address = normal_pci_address(text_of(bus));
    nvml::read_details(api, device, card);
    card.moment.processes = nvml::read_processes(api, device);
    return card;
}

/// What it has of its own; capability and limits are the card's that it is a part of.
std::optional<NvmlCard> read_instance(const nvml::Api& api, nvml::Device device, const NvmlCard& parent) {
    NvmlCard instance;
    if (!read_identity(api, device, instance)) return std::nullopt;
    const std::string profile = nvml::mig_profile(api, device, instance.name);
    if (profile.empty()) return std::nullopt;
    instance.name = parent.name + " MIG " + profile;
    instance.pci_address = parent.pci_address;
    instance.compute_capability = parent.compute_capability;
    instance.pcie_generation = parent.pcie_generation;
    instance.pcie_width = parent.pcie_width;
    instance.details.clock_mhz = parent.details.clock_mhz;
    instance.details.ecc = parent.details.ecc;
    instance.details.ecc_errors = parent.details.ecc_errors;
    instance.details.mig_profile = profile;
    instance.details.mig_parent = parent.uuid;
    instance.moment.processes = nvml::read_processes(api, device);
    return instance;
}

std::vector<NvmlCard> read_instances(const nvml::Api& api, nvml::Device device, const NvmlCard& parent) {
    std::vector<NvmlCard> instances;
    unsigned int count = 0;
    if (api.mig_by_index == nullptr || api.mig_count_max == nullptr ||
        api.mig_count_max(device, &count) != success)
        return instances;
    for (unsigned int index = 0; index < std::min(count, instances_max); ++index) {
        nvml::Device handle = nullptr;
        if (api.mig_by_index(device, index, &handle) != success) continue;  // not every place is taken
        if (auto instance = read_instance(api, handle, parent)) instances.push_back(std::move(*instance));
    }
    if (instances.empty())
        spdlog::warn("card {} is in MIG mode and has no instance: nothing of it is listed", parent.uuid);
    return instances;
}

std::vector<NvmlCard> read_cards(const nvml::Api& api) {
    std::array<char, 96> driver{};
    unsigned int count = 0;
    if (api.driver(driver.data(), static_cast<unsigned int>(driver.size())) != success ||
        api.count(&count) != success)
        return {};
    std::vector<NvmlCard> cards;
    for (unsigned int index = 0; index < count; ++index) {
        nvml::Device device = nullptr;
        auto card = api.by_index(index, &device) == success ? read_card(api, device) : std::nullopt;
        if (!card) {
            spdlog::warn("NVIDIA card {} does not answer and is left out", index);
            continue;
        }
        if (!nvml::is_divided(api, device)) {
            cards.push_back(std::move(*card));
            continue;
        }
        for (NvmlCard& instance : read_instances(api, device, *card))
            cards.push_back(std::move(instance));
    }
    number_nvlink_groups(cards);
    const auto cuda = cuda_version(api);
    for (NvmlCard& card : cards) {
        card.driver_version = text_of(driver);
        card.cuda_version = cuda;
    }
    return cards;
}

std::optional<std::int64_t> count_processes(const nvml::Api& api, const std::string& uuid) {
    nvml::Device device = nullptr;
    if (api.by_uuid == nullptr || api.by_uuid(uuid.c_str(), &device) != success) return std::nullopt;
    const auto processes = nvml::read_processes(api, device);
    if (!processes) return std::nullopt;
    return std::ranges::count_if(*processes, &CardProcess::computes);
}

}  // namespace

void number_nvlink_groups(std::vector<NvmlCard>& cards) {
    // Each card's group is at first its own place; joining two takes the lower.
    std::vector<std::size_t> group(cards.size());
    std::map<std::string, std::size_t> at;
    for (std::size_t i = 0; i < cards.size(); ++i) {
        group[i] = i;
        // A part of a card has its address, and none of its links.
        if (!cards[i].details.mig_profile) at.emplace(cards[i].pci_address, i);
    }
    const auto join = [&](std::size_t a, std::size_t b) {
        const auto [low, high] = std::minmax(group[a], group[b]);
        std::replace(group.begin(), group.end(), std::size_t{high}, std::size_t{low});
    };
    std::optional<std::size_t> at_switch;
    for (std::size_t i = 0; i < cards.size(); ++i) {
        for (const std::string& peer : cards[i].link_peers)
            if (const auto found = at.find(peer); found != at.end()) join(i, found->second);
        if (!cards[i].reaches_switch) continue;
        if (at_switch) join(i, *at_switch);
        at_switch = i;
    }
    std::map<std::size_t, std::int64_t> numbers;
    for (std::size_t i = 0; i < cards.size(); ++i) {
        cards[i].details.nvlink_group.reset();
        if (std::count(group.begin(), group.end(), group[i]) < 2) continue;
        const auto number = static_cast<std::int64_t>(numbers.size());
        cards[i].details.nvlink_group = numbers.try_emplace(group[i], number).first->second;
    }
}

std::string normal_pci_address(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::size_t kernel_length = 12;  // "0000:41:00.0"
    if (text.size() == kernel_length + 4 && text.starts_with("0000")) text.erase(0, 4);
    return text;
}

std::optional<std::vector<NvmlCard>> nvml_cards(const std::string& library) {
    const LoadedNvml nvml(library);
    if (!nvml.is_there()) return std::nullopt;
    return nvml.is_started() ? read_cards(nvml.api()) : std::vector<NvmlCard>{};
}

std::optional<std::int64_t> nvml_process_count(const std::string& library, const std::string& uuid) {
    const LoadedNvml nvml(library);
    return nvml.is_started() ? count_processes(nvml.api(), uuid) : std::nullopt;
}

}  // namespace fallow::agent
