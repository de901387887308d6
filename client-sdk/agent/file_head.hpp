// The beginning of a file whose size the kernel does not tell, as those of proc(5).
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace fallow::agent {

/// What is read of a process's control groups.
inline constexpr std::size_t group_bytes_max = 16'384;

/// Empty when it cannot be read.
[[nodiscard]] std::string file_head(const std::filesystem::path& path, std::size_t bytes_max);

}  // namespace fallow::agent
