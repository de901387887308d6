#include "agent/transfer.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "agent/clock.hpp"
#include "agent/crypto.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t first_pause_ms = 250;
constexpr std::int64_t longest_pause_ms = 8000;
constexpr std::int64_t retry_after_ms_max = 60'000;
constexpr int tries_in_a_row_max = 30;

std::int64_t parts_of(std::int64_t bytes) {
    return (bytes + part_bytes - 1) / part_bytes;
}

void download(ServerLink& server, const std::string& lease_id, const InputArtifact& input,
              const fs::path& target, TransferCount& count, std::stop_token stop) {
    fs::create_directories(target.parent_path());
    std::ofstream file(target, std::ios::binary | std::ios::trunc);
    Sha256 hash;
    std::int64_t received = 0;
    for (std::int64_t part = 0; part < parts_of(input.bytes); ++part) {
        const std::string octets = go_on_when_broken(
            [&] { return server.input_part(lease_id, input.artifact_id, part, stop); }, stop);
        received += static_cast<std::int64_t>(octets.size());
        hash.update(octets);
        file.write(octets.data(), static_cast<std::streamsize>(octets.size()));
        count.add(static_cast<std::int64_t>(octets.size()));
    }
    file.close();
    if (!file) throw std::runtime_error("the input " + input.path + " cannot be written");
    if (received != input.bytes || hash.finish_hex() != input.sha256)
        throw std::runtime_error("the input " + input.path + " has not the promised SHA-256");
    fs::permissions(target, fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
}

/// Of all of them; throws when there is one that may not be.
std::int64_t checked_bytes(const std::vector<InputArtifact>& inputs) {
    std::int64_t bytes = 0;
    for (const InputArtifact& input : inputs) {
        if (!is_safe_path(input.path))
            throw std::runtime_error("an input's path is not allowed: " + input.path);
        if (input.bytes < 0 || input.bytes > artifact_bytes_max)
            throw std::runtime_error("the input " + input.path + " is too large");
        bytes += input.bytes;
    }
    return bytes;
}

}  // namespace

std::string go_on_when_broken(const std::function<std::string()>& fetch, std::stop_token stop) {
    std::int64_t pause_ms = first_pause_ms;
    for (int tries = 1;; ++tries) {
        if (stop.stop_requested())
            throw sdk::TransportError(sdk::TransportErrorKind::cancelled, "the download was interrupted");
        try {
            return fetch();
        } catch (const sdk::TransportError& error) {
            if (tries == tries_in_a_row_max || stop.stop_requested()) throw;
            spdlog::debug("a download was broken off, and goes on: {}", error.what());
        } catch (const ServerError& error) {
            if (tries == tries_in_a_row_max || error.is_final()) throw;
            pause_ms = std::clamp(error.retry_after_ms(), pause_ms, retry_after_ms_max);
        }
        pause_for(pause_ms, stop);
        pause_ms = std::min(2 * pause_ms, longest_pause_ms);
    }
}

void download_inputs(ServerLink& server, const std::string& lease_id, const WorkingStorage& storage,
                     const OnProgress& on_progress, std::stop_token stop) {
    const std::vector<InputArtifact> inputs = server.inputs(lease_id);
    TransferCount count(TransferStep::fetching_inputs, checked_bytes(inputs), on_progress);
    for (const InputArtifact& input : inputs)
        download(server, lease_id, input, storage.inputs() / input.path, count, stop);
}

}  // namespace fallow::agent
