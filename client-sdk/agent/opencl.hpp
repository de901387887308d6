// OpenCL devices, through libOpenCL opened at run time. PoCL's device is a CPU and is listed as one.
#pragma once

#include <string>
#include <vector>

#include "agent/inventory.hpp"

namespace fallow::agent {

/// Empty when there is no OpenCL. A device whose uuid is among `known` with a capacity is not measured
/// again.
[[nodiscard]] std::vector<CardFacts> opencl_cards(const MeasureOptions& options,
                                                  const std::vector<CardFacts>& known);

/// A stable name in the form of a UUID for a device that has none of its own.
[[nodiscard]] std::string derived_uuid(const std::string& identity);

}  // namespace fallow::agent
