#include "accounts/checkpoints.hpp"

#include <algorithm>
#include <set>

#include "accounts/artifacts.hpp"
#include "accounts/text.hpp"

namespace fallow::accounts {

namespace {

constexpr std::int32_t mode_max = 0777;
constexpr std::size_t target_bytes_max = limits::text_field_bytes_max;

Error bad(std::size_t index, std::string_view field, std::string detail) {
    return refuse(ErrorCode::invalid_field, std::move(detail),
                  "/entries/" + std::to_string(index) + "/" + std::string(field));
}

std::int64_t chunk_count(std::int64_t bytes) {
    return (bytes + chunk_bytes_max - 1) / chunk_bytes_max;
}

Status check_content(const CheckpointEntry& entry, std::size_t index) {
    if (entry.mode < 0 || entry.mode > mode_max) return bad(index, "mode", "Permissions are 0 to 0777.");
    if (entry.kind != EntryKind::file && (entry.bytes != 0 || !entry.chunks.empty()))
        return bad(index, "chunks", "Only a file has bytes and chunks.");
    if (entry.bytes < 0 || entry.bytes > checkpoint_bytes_max)
        return bad(index, "bytes", "A file has 0 to " + std::to_string(checkpoint_bytes_max) + " bytes.");
    if (std::ssize(entry.chunks) != chunk_count(entry.bytes))
        return bad(index, "chunks", "A file has one chunk for each 1 MiB, and one for what is left.");
    for (std::size_t i = 0; i < entry.chunks.size(); ++i)
        if (const Status good = check_sha256(entry.chunks[i]); !good)
            return bad(index, "chunks/" + std::to_string(i), good.error().detail);
    const bool has_target =
        !entry.target.empty() && entry.target.size() <= target_bytes_max && is_plain_text(entry.target);
    if ((entry.kind == EntryKind::link) != has_target || (!has_target && !entry.target.empty()))
        return bad(index, "target",
                   "A link, and nothing else, has a target: plain text of at most " +
                       std::to_string(target_bytes_max) + " bytes.");
    return Done{};
}

}  // namespace

Status check_entries(const std::vector<CheckpointEntry>& entries, std::int64_t bytes_max) {
    std::set<std::string_view> paths;
    std::set<std::string_view> folders;
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const CheckpointEntry& entry = entries[i];
        if (const Status good = check_job_path(entry.path); !good)
            return bad(i, "path", good.error().detail);
        if (const Status good = check_content(entry, i); !good) return good;
        const std::string_view path = entry.path;
        const auto slash = path.rfind('/');
        if (slash != std::string_view::npos && !folders.contains(path.substr(0, slash)))
            return bad(i, "path", "Name a folder before what it holds.");
        if (!paths.insert(path).second) return bad(i, "path", "Name each path once.");
        if (entry.kind == EntryKind::folder) folders.insert(path);
        bytes += entry.bytes;
        if (bytes > bytes_max)
            return bad(i, "bytes",
                       "The job's checkpoints have at most " + std::to_string(bytes_max) +
                           " bytes; give it a larger bytes_max.");
    }
    return Done{};
}

std::int64_t bytes_of(const std::vector<CheckpointEntry>& entries) {
    std::int64_t bytes = 0;
    for (const CheckpointEntry& entry : entries)
        bytes += entry.bytes;
    return bytes;
}

std::vector<std::string> chunks_of(const std::vector<CheckpointEntry>& entries) {
    std::set<std::string> chunks;
    for (const CheckpointEntry& entry : entries)
        chunks.insert(entry.chunks.begin(), entry.chunks.end());
    return {chunks.begin(), chunks.end()};
}

}  // namespace fallow::accounts
