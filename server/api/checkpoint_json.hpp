// Checkpoints as the API shows them.
#pragma once

#include <string>
#include <vector>

#include "accounts/checkpoints.hpp"
#include "api/json_writer.hpp"

namespace fallow::api {

/// The entries of a manifest, as they are stored and shown.
[[nodiscard]] std::string entries_json(const std::vector<accounts::CheckpointEntry>& entries);

void write(JsonWriter& json, const accounts::Checkpoint& checkpoint);
/// With its entries.
void write(JsonWriter& json, const accounts::CheckpointWithEntries& checkpoint);

}  // namespace fallow::api
