// Whole files to and from a server, in parts of 1 MiB, with their SHA-256. Nothing is held in memory but
// one part.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "fallow/types.hpp"

namespace fallow::sdk {

class Client;

inline constexpr std::int64_t artifact_part_bytes = std::int64_t{1024} * 1024;

/// 0 for an empty file.
[[nodiscard]] constexpr std::int64_t artifact_parts(std::int64_t bytes) {
    return bytes / artifact_part_bytes + (bytes % artifact_part_bytes != 0 ? 1 : 0);
}

/// Called after each part with what is there by then, what was there before included.
using OnTransferred = std::function<void(std::int64_t done_bytes, std::int64_t total_bytes)>;

/// Reads the file twice: for its digest, and to send it. What an earlier upload of the same file has left,
/// in whichever process, is not sent again. Throws std::system_error for the file, ApiError hash_mismatch
/// when it changed in between.
[[nodiscard]] Artifact upload_file(Client& client, const std::filesystem::path& file,
                                   const std::string& name, const OnTransferred& on_transferred = {});

/// Writes `target` whole or not at all: the parts go to a file beside it, which takes its name once the
/// digest is right. When the server is out of reach in the middle that file stays, named by the digest, and
/// the next call goes on from its last whole part; an artifact of another content begins anew. Throws
/// std::system_error for the file, ProtocolError when what came is not the artifact.
void download_file(Client& client, const Artifact& artifact, const std::filesystem::path& target,
                   const OnTransferred& on_transferred = {});

/// Writes a checkpoint's files, folders and links below `folder`, each file whole or not at all and its
/// chunks checked against their names. Links come last, so that nothing is written through one that came
/// along; one that is there already, in the place of a folder, is an error. Throws std::system_error and
/// ProtocolError.
void download_checkpoint(Client& client, std::string_view job_id, const CheckpointContent& checkpoint,
                         const std::filesystem::path& folder);

/// `folder` / `path` for the path of an output. Throws ProtocolError for a path that would leave the
/// folder.
[[nodiscard]] std::filesystem::path path_below(const std::filesystem::path& folder,
                                               const std::string& path);

}  // namespace fallow::sdk
