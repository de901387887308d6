// What the owner of this host has taken back for itself. It is on disk before it is answered, so that a
// restarted agent keeps to it, and no server is asked: the planner puts it before any desired state.
//
// A claim may be bound to a process, and ends with it: so `own` gives a card back however its command ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/planner.hpp"

namespace fallow::agent {

/// A process of this boot of the host.
struct OwnerProcess {
    std::int64_t pid = 0;
    std::int64_t start_ticks = 0;
    friend bool operator==(const OwnerProcess&, const OwnerProcess&) = default;
};

struct OwnerHold {
    std::string boot_id;  ///< that `since_boot_ms` and the process belong to
    std::int64_t since_boot_ms = 0;
    std::int64_t since_unix_ms = 0;  ///< for people
    bool at_once = false;
    bool until_released = true;  ///< else until the last of the processes has ended
    std::vector<OwnerProcess> processes;
    friend bool operator==(const OwnerHold&, const OwnerHold&) = default;
};

class OwnerDesk {
  public:
    /// Reads what an agent before this one left. Throws when that cannot be read: a card of the owner's
    /// must not be rented out because a file is damaged.
    OwnerDesk(const std::filesystem::path& state_folder, std::string boot_id);

    /// A card that is held already keeps its deadline, unless `at_once` brings it nearer. Without a process
    /// it stays until it is released, else for as long as that process, and those before it, are there.
    void take(const std::string& uuid, bool at_once, const std::optional<OwnerProcess>& process);
    /// False when it was not held.
    bool release(const std::string& uuid);
    /// Releases what was bound to a process that has ended; the cards that were.
    std::vector<std::string> release_ended();

    [[nodiscard]] std::map<std::string, OwnerHold> holds() const;
    [[nodiscard]] std::vector<OwnerClaim> claims() const;

  private:
    void save(const std::map<std::string, OwnerHold>& holds);

    const std::filesystem::path file_;
    const std::string boot_id_;
    mutable std::mutex mutex_;
    std::map<std::string, OwnerHold> holds_;  ///< by uuid
};

[[nodiscard]] std::string encode_holds(const std::map<std::string, OwnerHold>& holds);
/// Throws std::runtime_error on anything encode_holds did not write.
[[nodiscard]] std::map<std::string, OwnerHold> parse_holds(std::string_view json);

}  // namespace fallow::agent
