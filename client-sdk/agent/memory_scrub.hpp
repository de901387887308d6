// Overwrites the memory of a card that a guest has had, and proves that it did.
#pragma once

#include "agent/card_probe.hpp"
#include "agent/compute_device.hpp"
#include "agent/device_memory.hpp"

namespace fallow::agent {

/// Takes all memory of the device that can be had, writes a pattern over it that no two words share, reads
/// every word back, and leaves zeros. Counted is what still held the pattern when all had been written:
/// memory that is there once, and holds nothing else any more. Throws ComputeError.
[[nodiscard]] ScrubResult scrub_memory(ComputeDevice& device, std::int64_t bytes_max,
                                       const OnStep& progress);

/// Nothing failed, and of what the device says it has all was overwritten but a rest of at most 3 %, which
/// the driver and the scrub's own context hold. Of a card on which somebody else has memory it is not said:
/// the scrub tells that as a problem. Pure.
[[nodiscard]] bool is_scrubbed(const ScrubResult& result);

}  // namespace fallow::agent
