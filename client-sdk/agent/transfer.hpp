// Moves artifacts between the server and a lease's working storage, in parts, with their SHA-256 checked.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "agent/server_link.hpp"
#include "agent/storage.hpp"

namespace fallow::agent {

inline constexpr std::int64_t part_bytes = 1024 * 1024;
inline constexpr std::int64_t artifact_bytes_max = 256LL * 1024 * 1024;

/// Throws std::runtime_error when an input's path is not safe or its content has not the promised hash, and
/// whatever the link throws.
void download_inputs(ServerLink& server, const std::string& lease_id, const WorkingStorage& storage,
                     std::stop_token stop);

/// Uploads the declared outputs that are there. Returns a sentence for each that was left out, with its
/// reason.
[[nodiscard]] std::vector<std::string> upload_outputs(ServerLink& server, const std::string& lease_id,
                                                      const std::vector<std::string>& paths,
                                                      const WorkingStorage& storage);

}  // namespace fallow::agent
