// NVIDIA cards through NVML (libnvidia-ml), opened at run time. The declarations are our own, after NVML's
// documented and versioned interface, so that nothing of NVIDIA is needed to build. No library means no
// card.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::agent {

struct NvmlCard {
    std::string uuid;  ///< "GPU-…"
    std::string name;
    std::string pci_address;  ///< "0000:41:00.0", lower case
    std::string driver_version;
    std::int64_t memory_bytes = 0;  ///< as the driver says; a statement, not a proof
    std::int64_t used_bytes = 0;
    // Nothing where driver or card does not say
    std::optional<std::string> cuda_version;        ///< "12.4", the newest that the driver runs
    std::optional<std::string> compute_capability;  ///< "9.0"
    std::optional<std::int64_t> pcie_generation;    ///< the most that card and slot can do
    std::optional<std::int64_t> pcie_width;
    std::optional<std::int64_t> power_limit_watts;  ///< that is enforced
};

/// Nothing when the library is not there or lacks a function; empty when it refuses. A card that refuses a
/// question is left out.
[[nodiscard]] std::optional<std::vector<NvmlCard>> nvml_cards(const std::string& library);

/// NVML writes "00000000:41:00.0", the kernel "0000:41:00.0".
[[nodiscard]] std::string normal_pci_address(std::string text);

}  // namespace fallow::agent
