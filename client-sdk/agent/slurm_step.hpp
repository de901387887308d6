// What a lease's batch job does on its node: `fallow-agent slurm-step`. It obtains the image, makes the
// guest with the same profile as any Fallow host, waits for the agent's word, runs it, and cleans up. It
// must be gone from the node with the job, however the job ends.
#pragma once

#include <filesystem>

namespace fallow::agent {

/// `folder`: the meeting's. The exit code of the batch job: 0 once there is a status at its end.
[[nodiscard]] int run_slurm_step(const std::filesystem::path& folder);

/// After a job that was killed: removes what it has left on this node. Throws when that cannot be done.
void sweep_slurm_step(const std::filesystem::path& folder);

}  // namespace fallow::agent
