#include "agent/storage.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "agent/loop_mount.hpp"
#include "agent/volume_image.hpp"
#include "agent/volume_key.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t path_bytes_max = 512;
// Whatever the agent's umask: a guest's user owns neither.
constexpr fs::perms notice_permissions =
    fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read | fs::perms::others_read;
constexpr fs::perms notice_folder_permissions =
    notice_permissions | fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;

/// The root of a file system cannot be encrypted, so a folder in it takes its place. It covers what is
/// below, and is unmounted before it.
void encrypt(const fs::path& mounted) {
    const fs::path folder = mounted / "data";
    fs::create_directory(folder);
    encrypt_folder(folder);
    if (::mount(folder.c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot mount " + folder.string());
    const auto flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV;
    if (::mount(nullptr, mounted.c_str(), nullptr, flags, nullptr) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot mount " + folder.string());
}

/// Only what was written has blocks on the disk.
void overwrite(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        throw std::system_error(errno, std::generic_category(), "cannot overwrite " + path.string());
    static constexpr std::array<char, 1 << 20> zeros{};
    off_t end = 0;
    bool is_written = true;
    for (off_t at = ::lseek(fd, 0, SEEK_DATA); is_written && at >= 0; at = ::lseek(fd, end, SEEK_DATA)) {
        end = ::lseek(fd, at, SEEK_HOLE);
        while (is_written && at < end) {
            const auto length = std::min<off_t>(end - at, zeros.size());
            const ssize_t written = ::pwrite(fd, zeros.data(), static_cast<std::size_t>(length), at);
            is_written = written > 0;
            at += written;
        }
    }
    is_written = is_written && ::fdatasync(fd) == 0;
    const int error = errno;
    ::close(fd);
    if (!is_written)
        throw std::system_error(error, std::generic_category(), "cannot overwrite " + path.string());
}

void mount_tmpfs(const fs::path& target, std::int64_t disk_bytes) {
    const std::string options = "mode=0777,nr_inodes=100000,size=" + std::to_string(disk_bytes);
    if (::mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot mount " + target.string());
}

}  // namespace

StorageKind storage_kind_here() {
    return can_format_images() && can_mount_loops() ? StorageKind::loop : StorageKind::tmpfs;
}

std::string_view end_of_storage(StorageKind kind) {
    if (kind == StorageKind::tmpfs) return "memory";
    return can_encrypt_folders() ? "encrypted" : "wiped";
}

void overwrite_and_remove(const fs::path& path) {
    const auto status = fs::symlink_status(path);
    if (fs::is_regular_file(status)) overwrite(path);
    if (fs::is_directory(status))
        for (const auto& entry : fs::recursive_directory_iterator(path))
            if (entry.is_regular_file() && !entry.is_symlink()) overwrite(entry.path());
    fs::remove_all(path);
}

bool is_safe_path(std::string_view path) {
    if (path.empty() || path.size() > path_bytes_max || path.front() == '/') return false;
    std::size_t start = 0;
    while (start <= path.size()) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, end - start);
        if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
        for (const char c : part)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
        start = end + 1;
    }
    return true;
}

WorkingStorage::WorkingStorage(fs::path lease_folder, fs::path kept_images)
    : folder_(std::move(lease_folder)), kept_images_(std::move(kept_images)) {}

bool WorkingStorage::is_mounted(const fs::path& folder) const {
    struct stat inner {};
    struct stat outer {};
    if (::stat(folder.c_str(), &inner) != 0 || ::stat(folder_.c_str(), &outer) != 0) return false;
    return inner.st_dev != outer.st_dev;
}

void WorkingStorage::make_folders() {
    wipe();
    fs::create_directories(inputs());
    fs::create_directories(outputs());
    fs::create_directories(notices());
    fs::permissions(notices(), notice_folder_permissions);
}

void WorkingStorage::make_loop(std::int64_t disk_bytes, bool is_encrypted) const {
    make_volume_image(image(), disk_bytes, is_encrypted, kept_images_);
    mount_loop(image(), outputs(), false);
    fs::remove(outputs() / "lost+found");
    if (is_encrypted) encrypt(outputs());
    fs::permissions(outputs(), fs::perms::all);
}

void WorkingStorage::make(StorageKind kind, std::int64_t disk_bytes) {
    make_folders();
    make_outputs(kind, disk_bytes);
}

void WorkingStorage::make_outputs(StorageKind kind, std::int64_t disk_bytes) const {
    if (kind == StorageKind::loop)
        make_loop(disk_bytes, can_encrypt_folders());
    else
        mount_tmpfs(outputs(), disk_bytes);
    // The guest's user is one that no name on this host belongs to; the folder above is closed to all
    // others.
    fs::permissions(outputs(), fs::perms::all);
}

void WorkingStorage::make_detached(std::int64_t disk_bytes) {
    // A key would have to travel to where it is mounted next.
    make_folders();
    make_loop(disk_bytes, false);
    detach();
}

void WorkingStorage::attach(bool is_read_only) const {
    if (fs::exists(image()) && !is_mounted(outputs())) mount_loop(image(), outputs(), is_read_only);
}

void WorkingStorage::detach() const {
    while (is_mounted(outputs()))
        unmount(outputs());
}

void WorkingStorage::unmount(const fs::path& folder) {
    // Detached when something of the host still looks into it; the loop device goes with its last user.
    if (::umount2(folder.c_str(), UMOUNT_NOFOLLOW) != 0 &&
        ::umount2(folder.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot unmount " + folder.string());
}

void WorkingStorage::make_secrets() const {
    fs::create_directories(secrets());
    // A ramfs and no tmpfs: its pages are never written to a swap device. What lies in it is small.
    if (::mount("ramfs", secrets().c_str(), "ramfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755") != 0)
        throw std::system_error(errno, std::generic_category(), "cannot mount " + secrets().string());
}

void WorkingStorage::write_secret(const std::string& name, std::string_view octets) const {
    const fs::path path = secrets() / name;
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    const bool is_whole =
        fd >= 0 && ::write(fd, octets.data(), octets.size()) == static_cast<ssize_t>(octets.size());
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (!is_whole) throw std::system_error(error, std::generic_category(), "cannot write " + path.string());
}

void WorkingStorage::give_secrets(std::int64_t uid, std::int64_t gid) const {
    for (const fs::directory_entry& file : fs::directory_iterator(secrets()))
        if (::lchown(file.path().c_str(), static_cast<uid_t>(uid), static_cast<gid_t>(gid)) != 0)
            throw std::system_error(errno, std::generic_category(), "cannot give " + file.path().string());
}

void WorkingStorage::wipe() {
    if (is_mounted(outputs()))
        forget_key(outputs());  // also where something of the host still looks into it
    detach();
    while (is_mounted(secrets()))
        unmount(secrets());
    fs::remove_all(secrets());
    if (holds_encrypted_folders(image()))
        fs::remove(image());
    else
        overwrite_and_remove(image());
    overwrite_and_remove(inputs());
    fs::remove_all(outputs());
    fs::remove_all(notices());
    overwrite_and_remove(spool());
}

void WorkingStorage::clear_spool() const {
    overwrite_and_remove(spool());
    fs::create_directory(spool());
    fs::permissions(spool(), fs::perms::owner_all);
}

void WorkingStorage::make_output_folder(const std::string& path) const {
    if (!is_safe_path(path)) throw std::runtime_error("a folder's path is not allowed: " + path);
    fs::path folder = outputs();
    for (const fs::path& part : fs::path(path)) {
        folder /= part;
        fs::create_directory(folder);
        fs::permissions(folder, fs::perms::all);
    }
}

void WorkingStorage::write_notice(std::string_view text) const {
    const fs::path fresh = notices() / ".new";
    {
        std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
        file << text;
        file.close();
        if (!file) throw std::runtime_error("cannot write " + fresh.string());
    }
    fs::permissions(fresh, notice_permissions);
    fs::rename(fresh, notices() / notice_file);
}

std::optional<int> WorkingStorage::open_below_outputs(const std::string& path, std::uint64_t flags) const {
    if (!is_safe_path(path)) return std::nullopt;
    const int folder = ::open(outputs().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) return std::nullopt;
    open_how how{};
    how.flags = flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;  // a FIFO must not make us wait
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    const long fd = ::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how);
    ::close(folder);
    return fd < 0 ? std::nullopt : std::optional(static_cast<int>(fd));
}

std::optional<int> WorkingStorage::open_output(const std::string& path) const {
    const std::optional<int> fd = open_below_outputs(path, 0);
    if (!fd) return std::nullopt;
    struct stat facts {};
    if (::fstat(*fd, &facts) == 0 && S_ISREG(facts.st_mode)) return fd;
    ::close(*fd);
    return std::nullopt;
}

std::optional<int> WorkingStorage::open_output_folder(const std::string& path) const {
    return open_below_outputs(path, O_DIRECTORY);
}

}  // namespace fallow::agent
