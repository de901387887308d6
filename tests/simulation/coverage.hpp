// What a run of many seeds has to hit. A gap means that a promise was not tried.
#pragma once

#include <string>
#include <vector>

#include "simulation/world.hpp"

namespace fallow::sim {

/// Every transition, end reason and fault × phase pair that a run must have hit.
[[nodiscard]] std::vector<std::string> required_coverage();

/// Prints what was hit and how often; the required ones that were not.
[[nodiscard]] std::vector<std::string> report_coverage(const Coverage& coverage);

}  // namespace fallow::sim
