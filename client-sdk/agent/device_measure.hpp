// Proves and measures one device: how much memory is really there, how fast it moves on the card and to and
// from it, how fast the card multiplies.
#pragma once

#include <cstdint>

#include "agent/compute_device.hpp"
#include "agent/device_memory.hpp"
#include "agent/verification.hpp"

namespace fallow::agent {

/// Writes up to `bytes_max` of the device's memory, and reads every word only after the last one was
/// written. Fewer bytes are written when no more can be had. Throws ComputeError.
[[nodiscard]] MemoryProof prove_memory(ComputeDevice& device, std::int64_t bytes_max,
                                       std::int64_t buffer_bytes_max, std::uint64_t seed,
                                       const OnStep& progress);

/// The proof with a fresh seed over all that is to be tried, then the rates, each the best of five. Throws
/// ComputeError.
[[nodiscard]] Measurement measure_device(const FoundDevice& found, const OnStep& progress);

}  // namespace fallow::agent
