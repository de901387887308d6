#include "agent/transfer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "agent/crypto.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

std::int64_t parts_of(std::int64_t bytes) {
    return (bytes + part_bytes - 1) / part_bytes;
}

void download(ServerLink& server, const std::string& lease_id, const InputArtifact& input,
              const fs::path& target, std::stop_token stop) {
    fs::create_directories(target.parent_path());
    std::ofstream file(target, std::ios::binary | std::ios::trunc);
    Sha256 hash;
    std::int64_t received = 0;
    for (std::int64_t part = 0; part < parts_of(input.bytes); ++part) {
        if (stop.stop_requested()) throw std::runtime_error("the download was interrupted");
        const std::string octets = server.input_part(lease_id, input.artifact_id, part, stop);
        received += static_cast<std::int64_t>(octets.size());
        hash.update(octets);
        file.write(octets.data(), static_cast<std::streamsize>(octets.size()));
    }
    file.close();
    if (!file) throw std::runtime_error("the input " + input.path + " cannot be written");
    if (received != input.bytes || hash.finish_hex() != input.sha256)
        throw std::runtime_error("the input " + input.path + " has not the promised SHA-256");
    fs::permissions(target, fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
}

/// A regular file that the guest made, opened once: whatever its name points to later, this is what is
/// sent.
class OutputFile {
  public:
    explicit OutputFile(int fd) : fd_(fd) {
        struct stat facts {};
        if (::fstat(fd, &facts) == 0) bytes_ = facts.st_size;
    }
    ~OutputFile() { ::close(fd_); }
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    [[nodiscard]] std::int64_t bytes() const { return bytes_; }

    [[nodiscard]] std::string read_part(std::int64_t part) const {
        const std::int64_t start = part * part_bytes;
        std::string octets(static_cast<std::size_t>(std::min(part_bytes, bytes_ - start)), '\0');
        std::size_t done = 0;
        while (done < octets.size()) {
            const ssize_t n = ::pread(fd_, octets.data() + done, octets.size() - done,
                                      static_cast<off_t>(start + static_cast<std::int64_t>(done)));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) throw std::runtime_error("an output became shorter while it was read");
            done += static_cast<std::size_t>(n);
        }
        return octets;
    }

    [[nodiscard]] std::string sha256() const {
        Sha256 hash;
        for (std::int64_t part = 0; part < parts_of(bytes_); ++part)
            hash.update(read_part(part));
        return hash.finish_hex();
    }

  private:
    int fd_;
    std::int64_t bytes_ = 0;
};

void upload(ServerLink& server, const std::string& lease_id, const std::string& path,
            const OutputFile& file) {
    const std::string artifact_id = server.begin_output(lease_id, path, file.bytes(), file.sha256());
    for (std::int64_t part = 0; part < parts_of(file.bytes()); ++part)
        server.put_output_part(lease_id, artifact_id, part, file.read_part(part));
    server.complete_output(lease_id, artifact_id);
}

}  // namespace

void download_inputs(ServerLink& server, const std::string& lease_id, const WorkingStorage& storage,
                     std::stop_token stop) {
    for (const InputArtifact& input : server.inputs(lease_id)) {
        if (!is_safe_path(input.path))
            throw std::runtime_error("an input's path is not allowed: " + input.path);
        if (input.bytes < 0 || input.bytes > artifact_bytes_max)
            throw std::runtime_error("the input " + input.path + " is too large");
        download(server, lease_id, input, storage.inputs() / input.path, stop);
    }
}

std::vector<std::string> upload_outputs(ServerLink& server, const std::string& lease_id,
                                        const std::vector<std::string>& paths,
                                        const WorkingStorage& storage) {
    std::vector<std::string> left_out;
    for (const std::string& path : paths) {
        const std::optional<int> fd = storage.open_output(path);
        if (!fd) {
            left_out.push_back(path + " is not there, or not a regular file");
            continue;
        }
        const OutputFile file(*fd);
        if (file.bytes() > artifact_bytes_max) {
            left_out.push_back(path + " is larger than an artifact may be");
            continue;
        }
        try {
            upload(server, lease_id, path, file);
        } catch (const ServerError& error) {
            if (!error.is_final()) throw;
            left_out.push_back(path + " was refused: " + error.what());
        }
    }
    return left_out;
}

}  // namespace fallow::agent
