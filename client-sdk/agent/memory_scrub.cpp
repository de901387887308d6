#include "agent/memory_scrub.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t scrubbed_percent_min = 97;

}  // namespace

ScrubResult scrub_memory(ComputeDevice& device, std::int64_t bytes_max, const OnStep& progress) {
    FilledMemory memory(device, bytes_max, device.buffer_bytes_max(), fresh_seed(), progress);
    const MemoryProof proof = memory.check(progress);
    memory.wipe(progress);
    return {.reported_bytes = bytes_max, .scrubbed_bytes = proof.kept_bytes, .problem = {}};
}

bool is_scrubbed(const ScrubResult& result) {
    return result.problem.empty() && result.reported_bytes > 0 &&
           result.scrubbed_bytes >= result.reported_bytes / 100 * scrubbed_percent_min;
}

}  // namespace fallow::agent
