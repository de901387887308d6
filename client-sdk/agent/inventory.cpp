#include "agent/inventory.hpp"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

namespace fallow::agent {
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

namespace {

constexpr std::size_t specifications_max = 64;
constexpr std::size_t specification_bytes_max = 4 << 20;

std::string_view trimmed(std::string_view text) {
    const auto start = text.find_first_not_of(" \t");
    return start == text.npos ? std::string_view()
                              : text.substr(start, text.find_last_not_of(" \t\r") - start + 1);
}

std::string head_of(const std::filesystem::path& path, std::size_t bytes_max) {
    std::ifstream file(path, std::ios::binary);
    std::string text(bytes_max, '\0');
    file.read(text.data(), static_cast<std::streamsize>(bytes_max));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

/// All CDI specifications one after another.
std::string specifications_in(const std::vector<std::string>& folders) {
    std::string all;
    std::size_t count = 0;
    for (const std::string& folder : folders) {
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
            const std::string kind = entry.path().extension().string();
            if ((kind == ".json" || kind == ".yaml") && count++ < specifications_max)
                all += head_of(entry.path(), specification_bytes_max);
        }
    }
    return all;
}

}  // namespace

Processor parse_processor(std::string_view cpuinfo) {
    constexpr double step_mhz = 100;
    Processor found;
    while (!cpuinfo.empty()) {
        const std::string_view line = cpuinfo.substr(0, cpuinfo.find('\n'));
        cpuinfo.remove_prefix(std::min(cpuinfo.size(), line.size() + 1));
        const auto colon = line.find(':');
        if (colon == line.npos) continue;
        const std::string_view name = trimmed(line.substr(0, colon));
        const std::string value(trimmed(line.substr(colon + 1)));
        if (name == "model name" && !found.model && !value.empty()) found.model = value.substr(0, 100);
        if (name != "cpu MHz") continue;
        const double mhz = std::strtod(value.c_str(), nullptr);
        const std::int64_t rounded = std::llround(mhz / step_mhz) * 100;
        if (rounded > 0) found.clock_mhz = std::max(found.clock_mhz.value_or(0), rounded);
    }
    return found;
}

Processor host_processor() {
    Processor processor = parse_processor(head_of("/proc/cpuinfo", specification_bytes_max));
    std::ifstream file("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
    std::int64_t khz = 0;
    if (file >> khz && khz > 0) processor.clock_mhz = khz / 1000;
    return processor;
}

std::vector<std::string> drop_unnamed_instances(std::vector<CardFacts>& cards,
                                                const std::vector<std::string>& folders) {
    std::vector<std::string> problems;
    const bool any = std::any_of(cards.begin(), cards.end(),
                                 [](const CardFacts& card) { return card.details.mig_profile; });
    if (!any) return problems;
    const std::string named = specifications_in(folders);
    std::erase_if(cards, [&](const CardFacts& card) {
        if (!card.details.mig_profile || named.find(card.uuid) != named.npos) return false;
        problems.push_back("the instance " + card.uuid + " (" + *card.details.mig_profile +
                           ") is left out, because no CDI specification names it: run nvidia-ctk cdi "
                           "generate --device-name-strategy=uuid");
        return true;
    });
    for (std::size_t i = 0; i < cards.size(); ++i)
        cards[i].index = static_cast<std::int64_t>(i);
    return problems;
}

std::vector<CardFacts> merge_cards(std::vector<CardFacts> vendors, std::vector<CardFacts> opencl,
                                   bool nvml_there) {
    std::vector<CardFacts> all = std::move(vendors);
    const std::size_t vendors_count = all.size();
    for (CardFacts& device : opencl) {
        const auto end = all.begin() + static_cast<std::ptrdiff_t>(vendors_count);
        const auto twin = std::find_if(all.begin(), end, [&](const CardFacts& card) {
            return !card.pci_address.empty() && card.pci_address == device.pci_address &&
                   !card.details.mig_profile;
        });
        if (twin != end) {
            // The kernel knows few of AMD's products, and some by another name than the catalog's.
            if (twin->backend == "amdgpu") twin->product = device.product;
            twin->claims.opencl_uuid = device.claims.opencl_uuid;
            twin->claims.opencl_product = device.claims.opencl_product;
            twin->claims.opencl_bytes = device.claims.opencl_bytes;
        } else if (!nvml_there || !device.vendor.starts_with("NVIDIA")) {
            all.push_back(std::move(device));
        }
    }
    for (CardFacts& card : all)
        if (card.product.empty()) card.product = "AMD GPU";
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i].index = static_cast<std::int64_t>(i);
    return all;
}

void carry_over(std::vector<CardFacts>& cards, const std::vector<CardFacts>& known) {
    for (CardFacts& card : cards) {
        const auto before = std::find_if(known.begin(), known.end(),
                                         [&](const CardFacts& other) { return other.uuid == card.uuid; });
        if (before == known.end()) continue;
        card.capacity = before->capacity;
        card.verification = before->verification;
        if (card.verification && before->driver_version != card.driver_version)
            card.verification->at_unix_ms = 0;
    }
}

void take_verification(CardFacts& card, Verification verification) {
    if (verification.passed && verification.measured) {
        const Measurement& measured = *verification.measured;
        const bool is_cpu = card.device_class == "cpu";
        card.capacity =
            CardCapacity{is_cpu ? card.claims.opencl_bytes : measured.memory.kept_bytes,
                         measured.bandwidth_bytes_per_s, measured.fp32_flops, verification.at_unix_ms};
    }
    card.verification = std::move(verification);
}

}  // namespace fallow::agent
