// Brings a job's inputs from the server into a lease's working storage, in parts, with their SHA-256
// checked.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "agent/server_link.hpp"
#include "agent/storage.hpp"

namespace fallow::agent {

inline constexpr std::int64_t part_bytes = 1024 * 1024;
inline constexpr std::int64_t artifact_bytes_max = 256LL * 1024 * 1024;

/// Throws std::runtime_error when an input's path is not safe or its content has not the promised hash, and
/// whatever the link throws.
void download_inputs(ServerLink& server, const std::string& lease_id, const WorkingStorage& storage,
                     std::stop_token stop);

}  // namespace fallow::agent
