// OpenCL devices, through libOpenCL opened at run time. PoCL's device is a CPU and is listed as one.
#pragma once

#include <string>
#include <vector>

#include "agent/inventory.hpp"
#include "agent/opencl_session.hpp"

namespace fallow::agent {

/// Who they are and what they state; nothing of it is measured.
[[nodiscard]] std::vector<CardFacts> opencl_cards(const OpenclApi& api);

/// The device that `opencl_cards` gave that `claims.opencl_uuid`. A GPU's memory is tried in full, a CPU
/// device's up to `cpu_bytes_max`: it is the host's own. Throws std::runtime_error when the device is gone.
[[nodiscard]] FoundDevice find_opencl_device(const OpenclApi& api, const std::string& opencl_uuid,
                                             std::int64_t cpu_bytes_max);

/// A stable name in the form of a UUID for a device that has none of its own.
[[nodiscard]] std::string derived_uuid(const std::string& identity);

}  // namespace fallow::agent
