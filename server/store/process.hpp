// Child processes, as another user where needed: PostgreSQL refuses to run as root.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace fallow::store {

struct OsUser {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};

/// The user of this process, or the named one; throws std::runtime_error when there is no such user.
[[nodiscard]] OsUser current_user();
[[nodiscard]] OsUser user_named(const std::string& name);

struct SpawnSettings {
    std::vector<std::string> arguments{};  ///< the first is the program's path
    OsUser user{};                         ///< become this user, when it is another
    std::filesystem::path output{};        ///< stdout and stderr are appended here
    bool die_with_parent = false;          ///< SIGQUIT when the thread that spawned it ends
};

/// In a session of its own, so that a terminal's interrupt does not reach it, and with no open file of this
/// process.
[[nodiscard]] pid_t spawn(const SpawnSettings& settings);

/// The exit status of a child; 128 + the signal that killed it.
[[nodiscard]] int wait_for_child(pid_t pid);

/// The status of a child that has ended, nothing while it runs.
[[nodiscard]] std::optional<int> try_wait_for_child(pid_t pid);

/// Whether any process, child or not, has ended within `timeout`.
[[nodiscard]] bool wait_for_end(pid_t pid, Millis timeout);

}  // namespace fallow::store
