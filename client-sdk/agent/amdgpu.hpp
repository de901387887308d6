// AMD's cards as the kernel's own driver (amdgpu) tells of them: files under /sys/class/drm, as the
// kernel's documentation has them (GPU driver guide, "drm/amdgpu AMDgpu driver", "Thermal Controls" and
// "Misc Information"). They need no library, and so no ROCm.
#pragma once

#include <filesystem>
#include <vector>

#include "agent/inventory.hpp"

namespace fallow::agent {

/// `drm`: /sys/class/drm, or a folder laid out alike. What a card does not tell is left out of it; one that
/// states no memory of its own is left out whole. The product is empty where the driver does not know it.
[[nodiscard]] std::vector<CardFacts> amdgpu_cards(const std::filesystem::path& drm);

}  // namespace fallow::agent
