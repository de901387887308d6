// Brings a job's inputs from the server into a lease's working storage, in parts, with their SHA-256
// checked. A connection that breaks costs the part that it was at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "agent/server_link.hpp"
#include "agent/storage.hpp"
#include "agent/transfer_progress.hpp"

namespace fallow::agent {

inline constexpr std::int64_t part_bytes = 1024 * 1024;
inline constexpr std::int64_t artifact_bytes_max = 256LL * 1024 * 1024;

/// Of part `number`, counted from 0: all are whole but the last.
[[nodiscard]] constexpr std::int64_t part_size(std::int64_t bytes, std::int64_t number) {
    return std::min(part_bytes, bytes - number * part_bytes);
}

/// The piece that `fetch` brings, asked for again, a little later each time, while the server is out of
/// reach or busy. Throws what `fetch` throws for a refusal, or after some minutes of nothing but failures,
/// and sdk::TransportError when `stop` came first.
[[nodiscard]] std::string go_on_when_broken(const std::function<std::string()>& fetch,
                                            std::stop_token stop);

/// Throws std::runtime_error when an input's path is not safe or its content has not the promised hash, and
/// whatever the link throws.
void download_inputs(ServerLink& server, const std::string& lease_id, const WorkingStorage& storage,
                     const OnProgress& on_progress, std::stop_token stop);

}  // namespace fallow::agent
