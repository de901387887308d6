// The processes that NVML sees on a card or an instance of one.
#pragma once

#include <optional>
#include <vector>

#include "agent/card_processes.hpp"
#include "agent/nvml_api.hpp"

namespace fallow::agent::nvml {

/// By their numbers, with what the kernel knows of them. Nothing when the library is too old to tell, or
/// does not.
[[nodiscard]] std::optional<std::vector<CardProcess>> read_processes(const Api& api, Device device);

}  // namespace fallow::agent::nvml
