// Files as a tar stream over a descriptor, and back. What comes in is a stranger's: it stays below the one
// name that was asked for, and is files, folders and links within it.
#pragma once

#include <filesystem>
#include <string>

namespace fallow::cli {

/// Writes `path`, a file or a folder with all below it, under the name `as`. Throws std::runtime_error.
void write_tar(int descriptor, const std::filesystem::path& path, const std::string& as);

/// Reads entries that are `name` or below it, and puts them at `target`, which need not exist. Throws
/// std::runtime_error.
void read_tar(int descriptor, const std::string& name, const std::filesystem::path& target);

}  // namespace fallow::cli
