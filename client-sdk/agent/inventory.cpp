#include "agent/inventory.hpp"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
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

std::vector<CardFacts> merge_cards(std::vector<CardFacts> nvml, std::vector<CardFacts> opencl,
                                   bool nvml_there) {
    std::vector<CardFacts> all = std::move(nvml);
    const std::size_t nvml_count = all.size();
    for (CardFacts& device : opencl) {
        const auto nvml_end = all.begin() + static_cast<std::ptrdiff_t>(nvml_count);
        const auto twin = std::find_if(all.begin(), nvml_end, [&](const CardFacts& card) {
            return !card.pci_address.empty() && card.pci_address == device.pci_address;
        });
        if (twin != nvml_end) {
            twin->claims.opencl_uuid = device.claims.opencl_uuid;
            twin->claims.opencl_product = device.claims.opencl_product;
            twin->claims.opencl_bytes = device.claims.opencl_bytes;
        } else if (!nvml_there || !device.vendor.starts_with("NVIDIA")) {
            all.push_back(std::move(device));
        }
    }
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
