#include "partial_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace fallow::sdk {
namespace {

constexpr std::size_t digits_in_name = 16;

[[noreturn]] void fail(const std::string& file) {
    throw std::system_error(errno, std::generic_category(), file);
}

/// A regular file that nobody else has made or has another name for, and that still has the name it was
/// opened by.
bool is_our_own(int descriptor, const std::string& path) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(descriptor, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
           S_ISREG(opened.st_mode) && opened.st_uid == ::geteuid() && opened.st_nlink == 1 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

PartialFile::PartialFile(const std::filesystem::path& target) {
    open_fresh(target);
}

PartialFile::PartialFile(const std::filesystem::path& target, std::string_view sha256) {
    if (!open_left(target, sha256)) open_fresh(target);
}

PartialFile::~PartialFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
    if (descriptor_ >= 0) ::close(descriptor_);
}

/// The lock says that another process is at it; who has it may rename it, so that its name is looked at
/// after that.
bool PartialFile::open_left(const std::filesystem::path& target, std::string_view sha256) {
    const std::string path = target.string() + ".partial-" + std::string(sha256.substr(0, digits_in_name));
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) return false;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 || !is_our_own(descriptor, path)) {
        ::close(descriptor);
        return false;
    }
    path_ = path;
    descriptor_ = descriptor;
    return true;
}

/// mkstemp makes the file with mode 0600, and nobody can have it open before it has its name.
void PartialFile::open_fresh(const std::filesystem::path& target) {
    path_ = target.string() + ".partial-XXXXXX";
    descriptor_ = ::mkstemp(path_.data());
    if (descriptor_ >= 0) return;
    const int error = errno;
    throw std::system_error(error, std::generic_category(), std::exchange(path_, {}));
}

std::int64_t PartialFile::bytes() const {
    struct stat facts {};
    if (::fstat(descriptor_, &facts) != 0) fail(path_);
    return facts.st_size;
}

std::string PartialFile::read(std::int64_t offset, std::size_t bytes) const {
    std::string octets(bytes, '\0');
    std::size_t done = 0;
    while (done < bytes) {
        const ssize_t n = ::pread(descriptor_, octets.data() + done, bytes - done,
                                  static_cast<off_t>(offset) + static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail(path_);
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    octets.resize(done);
    return octets;
}

void PartialFile::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail(path_);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void PartialFile::cut(std::int64_t bytes) {
    if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0 ||
        ::lseek(descriptor_, static_cast<off_t>(bytes), SEEK_SET) < 0)
        fail(path_);
}

/// The lock goes with the descriptor, after the name.
void PartialFile::keep_as(const std::filesystem::path& target) {
    std::filesystem::rename(path_, target);
    path_.clear();
    if (::close(std::exchange(descriptor_, -1)) != 0) fail(target.string());
}

void PartialFile::leave() {
    path_.clear();
}

}  // namespace fallow::sdk
