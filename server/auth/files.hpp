// Small files with secrets in them: whole or not at all, and with the mode they were meant to have.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::auth {

inline constexpr mode_t private_mode = 0600;
inline constexpr mode_t public_mode = 0644;

/// Writes beside the target, syncs, and renames over it, so that a reader and a crash see the old or the
/// new contents. Throws std::system_error.
void write_file(const std::filesystem::path& path, std::string_view contents, mode_t mode);

/// Nothing when there is no such file. Throws std::system_error otherwise.
[[nodiscard]] std::optional<std::string> read_file(const std::filesystem::path& path);

/// As read_file, and throws when anyone but the owner could read the file: a leaked key must not go
/// unnoticed.
[[nodiscard]] std::optional<std::string> read_private_file(const std::filesystem::path& path);

}  // namespace fallow::auth
