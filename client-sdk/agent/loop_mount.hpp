// An image file mounted through a loop device of its own (loop(4)), without a program for it.
#pragma once

#include <filesystem>

namespace fallow::agent {

/// Whether this process may make loop devices.
[[nodiscard]] bool can_mount_loops();

/// Its ext4 file system, without set-user-ID programs and device files. The loop device goes with the
/// mount. Throws std::system_error.
void mount_loop(const std::filesystem::path& image, const std::filesystem::path& target, bool is_read_only);

}  // namespace fallow::agent
