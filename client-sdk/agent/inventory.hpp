// The cards of this host: who they are (identity, from the vendor's library) and what they can do
// (capacity, as measured here, with its date). A card that cannot be measured has no capacity; none is ever
// looked up or believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

struct CardCapacity {
    std::int64_t vram_bytes = 0;  ///< proved by a pattern, for GPUs; a CPU device's stated memory
    std::int64_t memory_bandwidth_bytes_per_s = 0;
    std::int64_t fp32_flops = 0;
    std::int64_t measured_unix_ms = 0;
    friend bool operator==(const CardCapacity&, const CardCapacity&) = default;
};

struct CardFacts {
    std::int64_t index = 0;
    std::string uuid;         ///< of NVML; for OpenCL derived from what identifies the device
    std::string pci_address;  ///< "0000:41:00.0", or empty
    std::string product;
    std::string vendor;
    std::string device_class;  ///< "gpu", "cpu" or "accelerator"
    std::string backend;       ///< "nvml" or "opencl"
    std::string driver_version;
    // What the driver says; nothing where it does not
    std::optional<std::string> cuda_version = {};
    std::optional<std::string> compute_capability = {};
    std::optional<std::int64_t> pcie_generation = {};
    std::optional<std::int64_t> pcie_width = {};
    std::optional<std::int64_t> power_limit_watts = {};
    std::optional<CardCapacity> capacity;
    friend bool operator==(const CardFacts&, const CardFacts&) = default;
};

struct MeasureOptions {
    std::int64_t cpu_bytes_max = 256LL * 1024 * 1024;  ///< how much of a CPU device's memory is tried
    bool enabled = true;
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
};
[[nodiscard]] std::int64_t host_cpu_cores();
/// As the kernel names it, like x86_64.
[[nodiscard]] std::optional<std::string> host_cpu_architecture();
/// The size of the file system that `folder` is on.
[[nodiscard]] std::optional<std::int64_t> disk_bytes_of(const std::string& folder);
[[nodiscard]] std::int64_t host_memory_bytes();

/// Every card of NVML and every OpenCL device that is not one of those. `known` are cards measured earlier:
/// their capacity is taken over by uuid and not measured again.
[[nodiscard]] std::vector<CardFacts> discover_cards(const MeasureOptions& options,
                                                    const std::vector<CardFacts>& known);

/// Takes an NVML card's capacity from the OpenCL device at the same PCI address and drops that device, so
/// that no card is listed twice.
[[nodiscard]] std::vector<CardFacts> merge_cards(std::vector<CardFacts> nvml,
                                                 std::vector<CardFacts> opencl);

[[nodiscard]] std::string encode_inventory(const HostDescription& host,
                                           const std::vector<CardFacts>& cards);
[[nodiscard]] std::string encode_cards(const std::vector<CardFacts>& cards);
/// Throws std::runtime_error on anything encode_cards did not write.
[[nodiscard]] std::vector<CardFacts> parse_cards(std::string_view json);

}  // namespace fallow::agent
