// A whole State as text: its rows, and what its indexes answer. Two states are equal when both are.
#pragma once

#include <string>

#include "market/state.hpp"

namespace fallow::testing {

/// How two states differ, rows and indexes; empty when they do not.
[[nodiscard]] std::string difference(const market::State& found, const market::State& expected);

/// How the indexes of a state differ from those that its rows make; empty when they do not.
[[nodiscard]] std::string index_errors(const market::State& state);

}  // namespace fallow::testing
