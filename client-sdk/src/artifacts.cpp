#include "fallow/artifacts.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <numeric>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "fallow/client.hpp"
#include "fallow/digest.hpp"
#include "fallow/retry.hpp"
#include "partial_file.hpp"

namespace fallow::sdk {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file) {
    throw std::system_error(errno, std::generic_category(), file.string());
}

std::string read_part(std::ifstream& stream, const std::filesystem::path& file) {
    std::string part(artifact_part_bytes, '\0');
    stream.read(part.data(), static_cast<std::streamsize>(part.size()));
    if (stream.bad()) throw std::system_error(EIO, std::generic_category(), file.string());
    part.resize(static_cast<std::size_t>(stream.gcount()));
    return part;
}

std::int64_t part_size(const Artifact& artifact, std::int64_t part) {
    return std::min(artifact_part_bytes, artifact.bytes - part * artifact_part_bytes);
}

std::vector<std::int64_t> all_parts(std::int64_t bytes) {
    std::vector<std::int64_t> parts(static_cast<std::size_t>(artifact_parts(bytes)));
    std::iota(parts.begin(), parts.end(), std::int64_t{0});
    return parts;
}

/// What an upload of the same file has left that was broken off. One part alone saves nothing, and a key
/// that may not read does without.
std::optional<Artifact> find_broken_off(Client& client, const NewArtifact& wanted) {
    if (artifact_parts(wanted.bytes) < 2) return std::nullopt;
    try {
        for (Artifact& found : client.artifacts(wanted.sha256).items)
            if (found.state == "uploading" && found.parts_received > 0 && found.bytes == wanted.bytes &&
                found.name == wanted.name)
                return std::move(found);
    } catch (const ApiError& error) {
        if (error.status() != 403) throw;
    }
    return std::nullopt;
}

void send_parts(Client& client, const Artifact& artifact, const std::filesystem::path& file,
                const std::vector<std::int64_t>& parts, const OnTransferred& on_transferred) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) fail(file);
    std::int64_t left = 0;
    for (const std::int64_t part : parts)
        left += part_size(artifact, part);
    for (const std::int64_t part : parts) {
        stream.clear();
        stream.seekg(part * artifact_part_bytes);
        client.put_artifact_part(artifact.id, part, read_part(stream, file));
        left -= part_size(artifact, part);
        if (on_transferred) on_transferred(artifact.bytes - left, artifact.bytes);
    }
}

/// Nothing when what was there is of a file that has changed since it was stated.
std::optional<Artifact> go_on(Client& client, const Artifact& begun, const std::filesystem::path& file,
                              const OnTransferred& on_transferred) {
    send_parts(client, begun, file, client.missing_parts(begun.id).missing, on_transferred);
    try {
        return client.complete_artifact(begun.id);
    } catch (const ApiError& error) {
        if (error.code() != "hash_mismatch") throw;
        return std::nullopt;
    }
}

/// How many whole parts of the artifact the file begins with. They count for the digest, and what is behind
/// them goes.
std::int64_t take_up(PartialFile& file, const Artifact& artifact, Sha256& sha256) {
    const std::int64_t parts = std::min(file.bytes(), artifact.bytes) / artifact_part_bytes;
    for (std::int64_t part = 0; part < parts; ++part)
        sha256.update(file.read(part * artifact_part_bytes, artifact_part_bytes));
    file.cut(parts * artifact_part_bytes);
    return parts;
}

/// Brings what the file lacks. Whether it has the artifact's digest then.
bool fetch_rest(Client& client, const Artifact& artifact, PartialFile& file,
                const OnTransferred& on_transferred) {
    Sha256 sha256;
    for (std::int64_t part = take_up(file, artifact, sha256); part < artifact_parts(artifact.bytes);
         ++part) {
        const std::string octets = client.artifact_part(artifact.id, part);
        if (static_cast<std::int64_t>(octets.size()) != part_size(artifact, part))
            throw ProtocolError("part " + std::to_string(part) + " of " + artifact.id +
                                " has the wrong size");
        sha256.update(octets);
        file.write(octets);
        if (on_transferred) on_transferred(file.bytes(), artifact.bytes);
    }
    return sha256.hex() == artifact.sha256;
}

/// Once more from the beginning if what an earlier try has left was not as it had come.
void fetch(Client& client, const Artifact& artifact, PartialFile& file,
           const OnTransferred& on_transferred) {
    const bool is_taken_up = file.bytes() > 0;
    if (fetch_rest(client, artifact, file, on_transferred)) return;
    file.cut(0);
    if (!is_taken_up || !fetch_rest(client, artifact, file, on_transferred))
        throw ProtocolError("what came for " + artifact.id + " does not have its SHA-256");
}

}  // namespace

Artifact upload_file(Client& client, const std::filesystem::path& file, const std::string& name,
                     const OnTransferred& on_transferred) {
    if (std::filesystem::is_directory(file))
        throw std::system_error(EISDIR, std::generic_category(), file.string());
    const FileDigest digest = digest_file(file);
    const NewArtifact wanted{name, digest.bytes, digest.sha256};
    auto artifact = find_broken_off(client, wanted);
    if (artifact) {
        if (auto complete = go_on(client, *artifact, file, on_transferred)) return *std::move(complete);
    } else {
        artifact = client.create_artifact(wanted);
    }
    send_parts(client, *artifact, file, all_parts(digest.bytes), on_transferred);
    return client.complete_artifact(artifact->id);
}

void download_file(Client& client, const Artifact& artifact, const std::filesystem::path& target,
                   const OnTransferred& on_transferred) {
    PartialFile file(target, artifact.sha256);
    try {
        fetch(client, artifact, file, on_transferred);
    } catch (const TransportError&) {
        file.leave();
        throw;
    } catch (const ApiError& error) {
        if (is_passing(error)) file.leave();
        throw;
    }
    file.keep_as(target);
}

namespace {

void download_entry(Client& client, std::string_view job_id, const CheckpointEntry& entry,
                    const std::filesystem::path& target) {
    namespace fs = std::filesystem;
    if (entry.kind == "folder") {
        fs::create_directory(target);
        if (!fs::is_directory(fs::symlink_status(target)))
            throw std::system_error(ENOTDIR, std::generic_category(), target.string());
        return;
    }
    if (entry.kind != "file")
        throw ProtocolError("a checkpoint's entry has the unknown kind " + entry.kind);
    PartialFile file(target);
    std::int64_t received = 0;
    for (const std::string& chunk : entry.chunks) {
        const std::string octets = client.checkpoint_chunk(job_id, chunk);
        if (sha256_hex(octets) != chunk) throw ProtocolError("a chunk does not have its SHA-256");
        file.write(octets);
        received += static_cast<std::int64_t>(octets.size());
    }
    if (received != entry.bytes.value_or(0)) throw ProtocolError(entry.path + " does not have its size");
    file.keep_as(target);
    fs::permissions(target,
                    static_cast<fs::perms>(entry.mode.value_or(0600) & 0777) | fs::perms::owner_read);
}

}  // namespace

void download_checkpoint(Client& client, std::string_view job_id, const CheckpointContent& checkpoint,
                         const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    for (const CheckpointEntry& entry : checkpoint.entries)
        if (entry.kind != "link") download_entry(client, job_id, entry, path_below(folder, entry.path));
    for (const CheckpointEntry& entry : checkpoint.entries) {
        if (entry.kind != "link") continue;
        const std::filesystem::path link = path_below(folder, entry.path);
        std::filesystem::remove(link);
        std::filesystem::create_symlink(entry.target.value_or(""), link);
    }
}

std::filesystem::path path_below(const std::filesystem::path& folder, const std::string& path) {
    const std::filesystem::path relative(path);
    const bool leaves = std::any_of(
        relative.begin(), relative.end(),
        [](const std::filesystem::path& part) { return part.empty() || part == "." || part == ".."; });
    if (path.empty() || relative.is_absolute() || leaves || path.find('\0') != std::string::npos)
        throw ProtocolError("the output's path would leave the folder: " + path);
    return folder / relative;
}

}  // namespace fallow::sdk
