// NVIDIA's cards through the CUDA driver, whose library is opened at run time. NVML says which there are;
// this finds the device of one of them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "agent/compute_device.hpp"

namespace fallow::agent {

/// Whether there is a CUDA driver through which the card that NVML calls so, of this compute capability
/// ("9.0"), is measured. No driver is started for it.
[[nodiscard]] bool has_cuda(const std::string& library, const std::string& nvml_uuid,
                            const std::optional<std::string>& capability);

/// The card, or instance of a divided card, that NVML calls so. Nothing when the library cannot be loaded,
/// or has no such device, or the device is older than what the kernels were translated for. Throws
/// ComputeError. To CUDA there is no other device in this process from now on.
[[nodiscard]] std::optional<FoundDevice> find_cuda_device(const std::string& library,
                                                          const std::string& nvml_uuid);

using UuidBytes = std::array<unsigned char, 16>;
/// "GPU-" or "MIG-" with a UUID in hexadecimal figures after it.
[[nodiscard]] std::optional<UuidBytes> parse_nvml_uuid(std::string_view text);

}  // namespace fallow::agent
