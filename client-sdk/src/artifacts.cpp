#include "fallow/artifacts.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "fallow/client.hpp"
#include "fallow/digest.hpp"

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

/// A file that goes away unless it is kept.
class PartialFile {
  public:
    explicit PartialFile(const std::filesystem::path& target) : path_(target.string() + ".partial-XXXXXX") {
        descriptor_ = ::mkstemp(path_.data());
        if (descriptor_ < 0) fail(path_);
    }
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;
    ~PartialFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
        if (!path_.empty()) ::unlink(path_.c_str());
    }

    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail(path_);
            bytes.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    void keep_as(const std::filesystem::path& target) {
        if (::close(std::exchange(descriptor_, -1)) != 0) fail(path_);
        std::filesystem::rename(path_, target);
        path_.clear();
    }

  private:
    std::string path_;
    int descriptor_ = -1;
};

}  // namespace

Artifact upload_file(Client& client, const std::filesystem::path& file, const std::string& name) {
    if (std::filesystem::is_directory(file))
        throw std::system_error(EISDIR, std::generic_category(), file.string());
    const FileDigest digest = digest_file(file);
    const Artifact created = client.create_artifact({name, digest.bytes, digest.sha256});
    std::ifstream stream(file, std::ios::binary);
    if (!stream) fail(file);
    for (std::int64_t part = 0; part < artifact_parts(digest.bytes); ++part)
        client.put_artifact_part(created.id, part, read_part(stream, file));
    return client.complete_artifact(created.id);
}

void download_file(Client& client, const Artifact& artifact, const std::filesystem::path& target) {
    PartialFile file(target);
    Sha256 sha256;
    std::int64_t received = 0;
    for (std::int64_t part = 0; part < artifact_parts(artifact.bytes); ++part) {
        const std::string octets = client.artifact_part(artifact.id, part);
        const std::int64_t expected = std::min(artifact_part_bytes, artifact.bytes - received);
        if (static_cast<std::int64_t>(octets.size()) != expected)
            throw ProtocolError("part " + std::to_string(part) + " of " + artifact.id +
                                " has the wrong size");
        sha256.update(octets);
        file.write(octets);
        received += expected;
    }
    if (sha256.hex() != artifact.sha256)
        throw ProtocolError("what came for " + artifact.id + " does not have its SHA-256");
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
