// Runs the simulators with a planted bug (mutants.cmake) that were built beside this one.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::sim {

struct MutantTotals {
    int mutants = 0;
    int found = 0;
};

/// Each until its first violation, at most `seeds` seeds; a table of what found it and when.
[[nodiscard]] MutantTotals run_mutants(std::uint64_t seeds, const std::string& only);

}  // namespace fallow::sim
