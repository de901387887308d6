// Saves a job's checkpoint folder to the server, and puts the newest one back for its next attempt.
//
// What is saved is the folder as it stood at one moment, without stopping the program: it is scanned, read,
// and scanned again, and counts if nothing has changed in between. What is not at the server yet is copied
// beside the lease first, so that the program may go on writing while it is sent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/checkpoint_folder.hpp"
#include "agent/lease.hpp"
#include "agent/server_link.hpp"
#include "agent/storage.hpp"

namespace fallow::agent {

/// One lease's; one thread at a time.
class CheckpointSaver {
  public:
    CheckpointSaver(std::string lease_id, std::int64_t lease_epoch, CheckpointSpec spec,
                    const WorkingStorage& storage);

    /// The number of the checkpoint that was made; nothing when the folder is as it was saved last, or when
    /// `stop` came first. `is_still`: the program has ended. Throws CheckpointError, what the link throws,
    /// and std::system_error for the copy.
    [[nodiscard]] std::optional<std::int64_t> save(ServerLink& server, bool is_still, std::stop_token stop);

  private:
    struct Snapshot {
        std::vector<FolderEntry> scanned;
        std::vector<CheckpointEntry> entries;
    };
    [[nodiscard]] std::optional<Snapshot> take(const CheckpointFolder& folder, bool is_still,
                                               std::stop_token stop);
    [[nodiscard]] std::optional<Snapshot> take_patiently(bool is_still, std::stop_token stop);
    [[nodiscard]] bool read_file(const CheckpointFolder& folder, const FolderEntry& scanned,
                                 CheckpointEntry& entry, std::stop_token stop);
    void keep_chunk(const std::string& sha256, const std::string& octets) const;
    void send(ServerLink& server, const Snapshot& snapshot, std::stop_token stop);
    void forget();

    std::string lease_id_;
    std::int64_t lease_epoch_;
    CheckpointSpec spec_;
    const WorkingStorage& storage_;
    /// Of the last one that was committed: what was scanned, its chunks, and which they are.
    std::vector<FolderEntry> scanned_;
    bool is_saved_ = false;
    std::map<std::string, std::pair<FolderEntry, std::vector<std::string>>> files_;
    std::set<std::string> at_server_;
};

/// Puts the newest checkpoint of the lease's job into its fresh storage, each chunk checked against its
/// name. Files can be read and written by everybody in the container, because the user who had made them is
/// not known to it. The checkpoint's number; nothing when there is none. Throws std::runtime_error, and
/// what the link throws.
[[nodiscard]] std::optional<std::int64_t> restore_checkpoint(
    ServerLink& server, const std::string& lease_id, const CheckpointSpec& spec,
    const WorkingStorage& storage, const OnProgress& on_progress, std::stop_token stop);

}  // namespace fallow::agent
