// The optional questions to NVML, of one card each. A card or library that does not know an answer leaves
// it out.
#pragma once

#include <string>

#include "agent/nvml.hpp"
#include "agent/nvml_api.hpp"

namespace fallow::agent::nvml {

void read_details(const Api& api, Device device, NvmlCard& card);

[[nodiscard]] bool is_divided(const Api& api, Device device);

/// "1g.10gb", from the name that NVML gives the instance or else from its slices and memory; empty when
/// neither tells.
[[nodiscard]] std::string mig_profile(const Api& api, Device instance, const std::string& name);

}  // namespace fallow::agent::nvml
