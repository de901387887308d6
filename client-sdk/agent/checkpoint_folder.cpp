#include "agent/checkpoint_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "agent/storage.hpp"
#include "agent/transfer.hpp"
#include "guard/descriptor.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t target_bytes_max = 1024;
constexpr mode_t permissions = 0777;

int open_below(int folder, const char* path, std::uint64_t flags) {
    open_how how{};
    how.flags = flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
}

std::int64_t ns_of(const timespec& time) {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

/// Of the descriptor, which is closed with the stream.
std::vector<std::string> names_in(int folder) {
    const int own = ::fcntl(folder, F_DUPFD_CLOEXEC, 0);
    const auto close_stream = [](DIR* stream) { ::closedir(stream); };
    const std::unique_ptr<DIR, decltype(close_stream)> stream(own < 0 ? nullptr : ::fdopendir(own),
                                                              close_stream);
    if (!stream) {
        if (own >= 0) ::close(own);
        throw CheckpointError("a folder cannot be read");
    }
    ::rewinddir(stream.get());
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name == "." || name == ".." || name.ends_with(unfinished_suffix)) continue;
        names.emplace_back(name);
        if (names.size() > checkpoint_entries_max)
            throw CheckpointError("the folder holds more than " + std::to_string(checkpoint_entries_max) +
                                  " files and folders; pack them into fewer");
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string read_link(int folder, const std::string& name) {
    std::array<char, target_bytes_max + 1> target{};
    const ssize_t n = ::readlinkat(folder, name.c_str(), target.data(), target.size());
    if (n <= 0 || n > static_cast<ssize_t>(target_bytes_max))
        throw CheckpointError("the link " + name + " points to a path that is too long");
    return {target.data(), static_cast<std::size_t>(n)};
}

/// False when the file has become shorter.
bool read_whole(int file, std::int64_t start, std::string& octets) {
    std::size_t done = 0;
    while (done < octets.size()) {
        const ssize_t n = ::pread(file, octets.data() + done, octets.size() - done,
                                  static_cast<off_t>(start + static_cast<std::int64_t>(done)));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += static_cast<std::size_t>(n);
    }
    return true;
}

FolderEntry entry_of(const std::string& path, const struct stat& facts) {
    FolderEntry entry;
    entry.path = path;
    entry.mode = static_cast<std::int32_t>(facts.st_mode & permissions);
    entry.changed_ns = ns_of(facts.st_ctim);
    entry.inode = facts.st_ino;
    if (S_ISDIR(facts.st_mode)) {
        entry.kind = EntryKind::folder;
        // A file that comes and goes beside those that are saved changes the folder's time and nothing
        // else.
        entry.changed_ns = 0;
    } else if (S_ISLNK(facts.st_mode)) {
        entry.kind = EntryKind::link;
    } else {
        entry.bytes = facts.st_size;
        entry.modified_ms = ns_of(facts.st_mtim) / 1'000'000;
    }
    return entry;
}

}  // namespace

CheckpointFolder::~CheckpointFolder() {
    ::close(fd_);
}

std::vector<FolderEntry> CheckpointFolder::scan() const {
    std::vector<FolderEntry> found;
    scan_below(fd_, "", 0, found);
    return found;
}

void CheckpointFolder::scan_below(int folder, const std::string& prefix, int depth,
                                  std::vector<FolderEntry>& found) {
    if (depth > checkpoint_depth_max)
        throw CheckpointError("the folder is nested deeper than " + std::to_string(checkpoint_depth_max));
    for (const std::string& name : names_in(folder)) {
        const std::string path = prefix + name;
        struct stat facts {};
        if (::fstatat(folder, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
        const bool is_saved = S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode) || S_ISLNK(facts.st_mode);
        if (!is_saved) continue;
        if (!is_safe_path(path)) throw CheckpointError("a path is too long, or has a control character");
        found.push_back(entry_of(path, facts));
        if (found.size() > checkpoint_entries_max)
            throw CheckpointError("the folder holds more than " + std::to_string(checkpoint_entries_max) +
                                  " files and folders; pack them into fewer");
        if (S_ISLNK(facts.st_mode)) found.back().target = read_link(folder, name);
        if (!S_ISDIR(facts.st_mode)) continue;
        const int child = open_below(folder, name.c_str(), O_DIRECTORY);
        if (child < 0) continue;
        const CheckpointFolder below(child);  // closes it
        scan_below(child, path + "/", depth + 1, found);
    }
}

bool CheckpointFolder::read(const FolderEntry& entry,
                            const std::function<void(const std::string&)>& take) const {
    const guard::Descriptor file(open_below(fd_, entry.path.c_str(), 0));
    struct stat facts {};
    if (file.get() < 0 || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return false;
    if (entry_of(entry.path, facts) != entry) return false;
    std::string octets;
    for (std::int64_t done = 0; done < entry.bytes; done += static_cast<std::int64_t>(octets.size())) {
        octets.resize(static_cast<std::size_t>(std::min(part_bytes, entry.bytes - done)));
        if (!read_whole(file.get(), done, octets)) return false;
        take(octets);
    }
    return true;
}

}  // namespace fallow::agent
