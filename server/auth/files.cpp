#include "auth/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "auth/random.hpp"
#include "auth/sha256.hpp"

namespace fallow::auth {
namespace {

[[noreturn]] void throw_errno(std::string_view what, const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(), std::string(what) + " " + path.string());
}

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return number_; }
    [[nodiscard]] bool open() const { return number_ >= 0; }

  private:
    int number_;
};

/// Removes the temporary file unless it was renamed to its place.
class Leftover {
  public:
    explicit Leftover(std::filesystem::path path) : path_(std::move(path)) {}
    ~Leftover() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    Leftover(const Leftover&) = delete;
    Leftover& operator=(const Leftover&) = delete;
    void keep() { path_.clear(); }

  private:
    std::filesystem::path path_;
};

void write_all(int file, std::string_view bytes, const std::filesystem::path& path) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(file, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) throw_errno("cannot write", path);
        if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void sync_folder(const std::filesystem::path& file) {
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!descriptor.open() || ::fsync(descriptor.get()) != 0) throw_errno("cannot sync", folder);
}

std::string read_all(int file, const std::filesystem::path& path) {
    std::string contents;
    char buffer[4096];
    for (;;) {
        const ssize_t count = ::read(file, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw_errno("cannot read", path);
        if (count == 0) return contents;
        contents.append(buffer, static_cast<std::size_t>(count));
    }
}

std::optional<std::string> read(const std::filesystem::path& path, bool owner_only) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.open() && errno == ENOENT) return std::nullopt;
    if (!file.open()) throw_errno("cannot open", path);
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) throw_errno("cannot examine", path);
    if (owner_only && (facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        throw std::runtime_error(path.string() +
                                 " can be read by others than its owner; run chmod 600 on it");
    return read_all(file.get(), path);
}

}  // namespace

void write_file(const std::filesystem::path& path, std::string_view contents, mode_t mode) {
    std::filesystem::path temporary = path;
    temporary += ".new-" + to_hex(random_bytes(8));
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, private_mode));
    if (!file.open()) throw_errno("cannot create", temporary);
    Leftover leftover(temporary);
    write_all(file.get(), contents, temporary);
    if (::fchmod(file.get(), mode) != 0) throw_errno("cannot set the mode of", temporary);
    if (::fsync(file.get()) != 0) throw_errno("cannot sync", temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno("cannot rename to", path);
    leftover.keep();
    sync_folder(path);
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
    return read(path, false);
}
std::optional<std::string> read_private_file(const std::filesystem::path& path) {
    return read(path, true);
}

}  // namespace fallow::auth
