// NVIDIA cards through NVML (libnvidia-ml), opened at run time. The declarations are our own, after NVML's
// documented and versioned interface, so that nothing of NVIDIA is needed to build. No library means no
// card.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/card_details.hpp"

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
    CardDetails details;
    CardMoment moment;
    std::vector<std::string> link_peers;  ///< PCI addresses of cards at the other end of its NVLinks
    bool reaches_switch = false;          ///< an NVSwitch is at the other end of one
};

/// Nothing when the library is not there or lacks a function; empty when it refuses. A card that does not
/// say who it is is left out. Of one that is divided (MIG) its instances are given and not the card itself.
[[nodiscard]] std::optional<std::vector<NvmlCard>> nvml_cards(const std::string& library);

/// How many processes compute on the card, or instance, of that uuid, and so hold memory of it. Nothing
/// where library or card does not tell.
[[nodiscard]] std::optional<std::int64_t> nvml_process_count(const std::string& library,
                                                             const std::string& uuid);

/// Gives cards that reach each other, by links or by the switches of their host, one number; a card that
/// reaches no other has none.
void number_nvlink_groups(std::vector<NvmlCard>& cards);

/// NVML writes "00000000:41:00.0", the kernel "0000:41:00.0".
[[nodiscard]] std::string normal_pci_address(std::string text);

}  // namespace fallow::agent
