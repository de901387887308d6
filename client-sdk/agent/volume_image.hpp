// Image files with an empty ext4 file system. What mkfs.ext4 made of a size and kind is kept, and copied
// for the next one of it: an empty file system is mostly holes, and a program costs more than a copy.
#pragma once

#include <cstdint>
#include <filesystem>

namespace fallow::agent {

/// Whether mkfs.ext4 is there.
[[nodiscard]] bool can_format_images();

/// A new file at `image`, in which somebody can write `bytes`; with the feature `encrypt`, when its folders
/// are to be encrypted. `kept` is the folder of those that are kept, the last few; empty: none is. Several
/// threads may use it. Throws std::runtime_error.
void make_volume_image(const std::filesystem::path& image, std::int64_t bytes, bool is_encrypted,
                       const std::filesystem::path& kept);

}  // namespace fallow::agent
