// What leases and jobs used of what they paid for: `fallow lease stats`, and a part of `fallow job show`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "context.hpp"

namespace fallow::cli {

void add_lease_stats(CLI::App& lease, Context& context);

/// "title, value" lines for people.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> efficiency_lines(
    const Efficiency& efficiency);

}  // namespace fallow::cli
