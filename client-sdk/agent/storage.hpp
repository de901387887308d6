// A lease's working storage on the host: `in` with its inputs, `notice` with what the guest is told while
// it runs, `secrets` with what its job names, and `out`, which is a file system of its own with a size of
// its own, so that a guest can fill that and nothing else.
//
// `loop` is an ext4 image file mounted through a loop device, `tmpfs` lies in memory and counts against the
// guest's memory limit. What a loop holds is encrypted where the kernel's ext4 can: with a key that is made
// for the lease, is known to the kernel alone and goes with the mount (volume_key.hpp). Where it cannot,
// all that was written is overwritten before its blocks are given back, as it is with `in` and `spool`
// everywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::agent {

enum class StorageKind { loop, tmpfs };

/// What becomes of it when it is wiped: "encrypted", "wiped" or "memory".
[[nodiscard]] std::string_view end_of_storage(StorageKind kind);

/// Every regular file below is overwritten on the disk, then all is removed. A file system that writes what
/// changes to another place, as btrfs does, keeps the old one for a while all the same.
void overwrite_and_remove(const std::filesystem::path& path);

/// `loop` where mkfs.ext4 and loop devices are there, else `tmpfs`.
[[nodiscard]] StorageKind storage_kind_here();

/// A path a job may name: relative, no empty, "." or ".." part, no control character, at most 512 octets.
[[nodiscard]] bool is_safe_path(std::string_view path);

/// The file that appears in `notice` when the guest is told to stop.
inline constexpr std::string_view notice_file = "stop";

class WorkingStorage {
  public:
    /// Image files are copies of those in `kept_images`, where that is not empty (volume_image.hpp).
    explicit WorkingStorage(std::filesystem::path lease_folder, std::filesystem::path kept_images = {});

    [[nodiscard]] std::filesystem::path inputs() const { return folder_ / "in"; }
    [[nodiscard]] std::filesystem::path outputs() const { return folder_ / "out"; }
    [[nodiscard]] std::filesystem::path notices() const { return folder_ / "notice"; }
    /// A file system in memory that is never swapped out, while there is one.
    [[nodiscard]] std::filesystem::path secrets() const { return folder_ / "secrets"; }
    /// What of a checkpoint is on its way to the server. On the host's own disk: the guest's is as full as
    /// it likes.
    [[nodiscard]] std::filesystem::path spool() const { return folder_ / "spool"; }

    /// Fresh and empty folders, whatever was there; `out` is closed until it is made. Throws
    /// std::runtime_error, as the two below do.
    void make_folders();
    /// Folders, and the file system of `out`.
    void make(StorageKind kind, std::int64_t disk_bytes);
    /// The same for a guest that runs on another host, which sees this folder: `out` is an image file that
    /// is mounted where the guest is.
    void make_detached(std::int64_t disk_bytes);
    /// The file system of `out`, in folders that are made.
    void make_outputs(StorageKind kind, std::int64_t disk_bytes) const;
    /// Mounts that image here, if there is one and it is not mounted yet; and the opposite. To be read only
    /// where the guest was elsewhere: its own mount may still be there.
    void attach(bool is_read_only) const;
    void detach() const;
    /// Also when it was never made, or only half of it.
    void wipe();

    /// What the guest reads as the file of FALLOW_NOTICE_FILE, whole at any moment.
    void write_notice(std::string_view text) const;

    /// Opens an output for reading, without following a single symbolic link and without leaving `out`:
    /// what a guest left there is not to be trusted. Nothing when it is not there or not a regular file.
    /// The caller closes it.
    [[nodiscard]] std::optional<int> open_output(const std::string& path) const;
    /// A folder there, by the same rules.
    [[nodiscard]] std::optional<int> open_output_folder(const std::string& path) const;
    /// In fresh storage, which no guest has seen yet, and writable for it. Throws std::runtime_error.
    void make_output_folder(const std::string& path) const;
    void clear_spool() const;

    /// Makes the folder of secrets, empty; then each of them, which nobody may read yet; then all of them
    /// what their one reader may read. Throws std::system_error.
    void make_secrets() const;
    void write_secret(const std::string& name, std::string_view octets) const;
    void give_secrets(std::int64_t uid, std::int64_t gid) const;

  private:
    [[nodiscard]] std::filesystem::path image() const { return folder_ / "out.img"; }
    void make_loop(std::int64_t disk_bytes, bool is_encrypted) const;
    [[nodiscard]] bool is_mounted(const std::filesystem::path& folder) const;
    static void unmount(const std::filesystem::path& folder);
    [[nodiscard]] std::optional<int> open_below_outputs(const std::string& path, std::uint64_t flags) const;

    std::filesystem::path folder_;
    std::filesystem::path kept_images_;
};

}  // namespace fallow::agent
