// The key of a lease's working storage: made here, given to the kernel, and known to nobody else. The
// kernel's fscrypt (ext4's feature `encrypt`) encrypts the contents, names and links of one folder of a
// file system with it and forgets it with the mount; sizes, times and permissions are not encrypted. Where
// dm-crypt is there it would hide these as well; fscrypt needs no more than the kernel's ext4.
#pragma once

#include <filesystem>

namespace fallow::agent {

/// Whether the kernel's ext4 can.
[[nodiscard]] bool can_encrypt_folders();

/// An empty folder, of a file system made for it, with a new key (AES-256 XTS and CTS). Throws
/// std::system_error.
void encrypt_folder(const std::filesystem::path& folder);

/// Takes every key of that file system away from the kernel, as far as files that are still open allow.
void forget_key(const std::filesystem::path& folder);

/// Whether the image of an ext4 file system was made for encrypted folders: so says its superblock.
[[nodiscard]] bool holds_encrypted_folders(const std::filesystem::path& image);

}  // namespace fallow::agent
