#include "agent/transfer.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>

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

}  // namespace fallow::agent
