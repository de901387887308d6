// The folder that a job has saved: what lies in it, and how to tell that it has not changed. What a guest
// made is not to be trusted: nothing here follows a link or leaves the lease's own file system.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

/// The folder cannot be saved as it is, and the renter should know why.
class CheckpointError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

inline constexpr std::size_t checkpoint_entries_max = 4096;
inline constexpr int checkpoint_depth_max = 32;
/// What ends like this is on its way to another name, and is not looked at.
inline constexpr std::string_view unfinished_suffix = ".tmp";

enum class EntryKind { file, folder, link };

/// A path below the folder, with all by which the kernel shows a change. A guest cannot set the time of a
/// change.
struct FolderEntry {
    std::string path;
    EntryKind kind = EntryKind::file;
    std::int32_t mode = 0;
    std::int64_t bytes = 0;
    std::int64_t modified_ms = 0;
    std::int64_t changed_ns = 0;
    std::uint64_t inode = 0;
    std::string target;  ///< of a link
    friend bool operator==(const FolderEntry&, const FolderEntry&) = default;
};

/// A descriptor of the folder, closed with the object.
class CheckpointFolder {
  public:
    /// Takes the descriptor over.
    explicit CheckpointFolder(int fd) : fd_(fd) {}
    ~CheckpointFolder();
    CheckpointFolder(const CheckpointFolder&) = delete;
    CheckpointFolder& operator=(const CheckpointFolder&) = delete;

    /// Files, folders and links, each folder before what it holds. Sockets, pipes and devices are left out.
    /// Throws CheckpointError when there are too many or they are nested too deep.
    [[nodiscard]] std::vector<FolderEntry> scan() const;
    /// Calls `take` with each 1 MiB of a file. False when it is not the one that was scanned.
    [[nodiscard]] bool read(const FolderEntry& entry,
                            const std::function<void(const std::string&)>& take) const;

  private:
    static void scan_below(int folder, const std::string& prefix, int depth,
                           std::vector<FolderEntry>& found);
    int fd_;
};

}  // namespace fallow::agent
