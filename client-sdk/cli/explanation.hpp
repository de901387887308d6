// Explanations for people.
#pragma once

#include <fallow/search_types.hpp>
#include <string>
#include <vector>

#include "output.hpp"

namespace fallow::cli {

/// Which constraints keep how many cards away, and what would help.
[[nodiscard]] std::string text_of(const Explanation& explanation);

}  // namespace fallow::cli
