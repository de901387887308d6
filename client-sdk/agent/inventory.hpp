// The cards of this host: who they are (identity, from the vendor's library) and what they can do
// (capacity, as measured here, with its date). A card that cannot be measured has no capacity; none is ever
// looked up or believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/card_details.hpp"
#include "agent/disk_speed.hpp"
#include "agent/network_speed.hpp"
#include "agent/verification.hpp"

namespace fallow::agent {

struct CardCapacity {
    std::int64_t vram_bytes = 0;  ///< proved by a pattern, for GPUs; a CPU device's stated memory
    std::int64_t memory_bandwidth_bytes_per_s = 0;
    std::int64_t fp32_flops = 0;
    std::int64_t measured_unix_ms = 0;
    friend bool operator==(const CardCapacity&, const CardCapacity&) = default;
};

/// What libraries say of a card beside its identity: statements, not proofs.
struct CardClaims {
    std::string opencl_uuid;  ///< by which its OpenCL device is found again; empty: it has none
    std::string opencl_product;
    std::int64_t opencl_bytes = 0;           ///< CL_DEVICE_GLOBAL_MEM_SIZE
    std::optional<std::int64_t> nvml_bytes;  ///< all of it, with what the driver keeps for itself
    std::optional<std::int64_t> used_bytes;  ///< now, by whomever
    bool has_cuda = false;                   ///< the CUDA driver is there, and no stranger to such a card
    /// Some driver is there to prove its memory through.
    [[nodiscard]] bool can_be_measured() const { return has_cuda || !opencl_uuid.empty(); }
    friend bool operator==(const CardClaims&, const CardClaims&) = default;
};

struct CardFacts {
    std::int64_t index = 0;
    std::string uuid;         ///< of NVML; for OpenCL derived from what identifies the device
    std::string pci_address;  ///< "0000:41:00.0", or empty
    std::string product;
    std::string vendor;
    std::string device_class;  ///< "gpu", "cpu" or "accelerator"
    std::string backend;       ///< "nvml", "opencl" or "amdgpu"
    std::string driver_version;
    // What the driver says; nothing where it does not
    std::optional<std::string> cuda_version = {};
    std::optional<std::string> compute_capability = {};
    std::optional<std::int64_t> pcie_generation = {};
    std::optional<std::int64_t> pcie_width = {};
    std::optional<std::int64_t> power_limit_watts = {};
    CardDetails details = {};
    CardMoment moment = {};
    CardClaims claims = {};
    std::optional<CardCapacity> capacity;  ///< what it last proved
    std::optional<Verification> verification = {};

    [[nodiscard]] bool is_refused() const { return verification && !verification->passed; }
    friend bool operator==(const CardFacts&, const CardFacts&) = default;
};

/// What the agent says of the host as a whole.
struct HostDescription {
    std::string boot_id;
    std::string runtime;
    std::string engine;
    std::int64_t cpu_cores = 0;
    std::int64_t memory_bytes = 0;
    std::optional<std::string> cpu_architecture;
    std::optional<std::int64_t> disk_bytes;
    std::optional<std::string> cpu_model;
    std::optional<std::int64_t> cpu_clock_mhz;  ///< the most that a core reaches
    std::string rack;                           ///< as the seller names it; empty: it is not said
    std::optional<DiskSpeed> disk_speed;
    std::string guest_network;    ///< none, internet; empty: it is not said
    std::string working_storage;  ///< encrypted, wiped, memory; empty: it is not said
    std::optional<NetworkSpeed> network_speed;
    bool gang_network = false;  ///< gangs can have a private network here
};

struct Processor {
    std::optional<std::string> model;
    std::optional<std::int64_t> clock_mhz;
};
/// proc(5), /proc/cpuinfo. Its clock is that of the moment: to the nearest 100 MHz of the fastest core.
[[nodiscard]] Processor parse_processor(std::string_view cpuinfo);
/// With the clock that the kernel says a core can reach, where it does.
[[nodiscard]] Processor host_processor();

[[nodiscard]] std::int64_t host_cpu_cores();
/// As the kernel names it, like x86_64.
[[nodiscard]] std::optional<std::string> host_cpu_architecture();
/// The size of the file system that `folder` is on.
[[nodiscard]] std::optional<std::int64_t> disk_bytes_of(const std::string& folder);
[[nodiscard]] std::int64_t host_memory_bytes();

/// Every card that its vendor's own way tells of (NVML, amdgpu), with the claims of the OpenCL device at
/// the same PCI address, and every OpenCL device that is not one of those. With `nvml_there` NVIDIA's
/// devices are NVML's to tell: one that it has lost is no card. A part of a card has no OpenCL device of
/// its own.
[[nodiscard]] std::vector<CardFacts> merge_cards(std::vector<CardFacts> vendors,
                                                 std::vector<CardFacts> opencl, bool nvml_there);

/// Takes the parts of cards away that no CDI specification in `folders` names, for no guest could be given
/// one; a sentence for each.
[[nodiscard]] std::vector<std::string> drop_unnamed_instances(std::vector<CardFacts>& cards,
                                                              const std::vector<std::string>& folders);

/// What `known` cards proved, by uuid. Under another driver than then the verification is due again.
void carry_over(std::vector<CardFacts>& cards, const std::vector<CardFacts>& known);

/// A card that passes has the capacity that it proved; a refused one keeps its last.
void take_verification(CardFacts& card, Verification verification);

}  // namespace fallow::agent
