// Bodies of the routes for checkpoints, all of them the agents'.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "accounts/checkpoints.hpp"
#include "base/result.hpp"

namespace fallow::api {

struct ChunkQuestion {
    std::int64_t lease_epoch = 0;
    std::vector<std::string> chunks;
};
[[nodiscard]] Result<ChunkQuestion> decode_chunk_question(std::string_view body);

struct NewCheckpoint {
    std::int64_t lease_epoch = 0;
    std::vector<accounts::CheckpointEntry> entries;
};
/// The form alone; what the entries make together is accounts::check_entries().
[[nodiscard]] Result<NewCheckpoint> decode_checkpoint(std::string_view body);

struct SaveProblem {
    std::int64_t lease_epoch = 0;
    std::string problem;
};
[[nodiscard]] Result<SaveProblem> decode_save_problem(std::string_view body);

}  // namespace fallow::api
