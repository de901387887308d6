#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "context.hpp"

namespace fallow::cli {
namespace {

[[noreturn]] void fail(const std::string& path) {
    throw std::system_error(errno, std::generic_category(), path);
}

std::string read_descriptor(int descriptor, const std::string& path) {
    constexpr std::size_t bytes_max = std::size_t{16} * 1024 * 1024;
    std::string text;
    char buffer[65536];
    for (;;) {
        const ssize_t bytes = ::read(descriptor, buffer, sizeof(buffer));
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0) fail(path);
        if (bytes == 0) return text;
        text.append(buffer, static_cast<std::size_t>(bytes));
        if (text.size() > bytes_max) throw std::system_error(EFBIG, std::generic_category(), path);
    }
}

/// mkstemp makes the file with mode 0600, and nobody can have it open before it has its name.
std::string write_beside(const std::string& path, std::string_view text) {
    std::string name = path + ".XXXXXX";
    const int descriptor = ::mkstemp(name.data());
    if (descriptor < 0) fail(path);
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    const bool whole = written == static_cast<ssize_t>(text.size()) && ::fsync(descriptor) == 0;
    const int error = whole ? 0 : (written < 0 ? errno : EIO);
    ::close(descriptor);
    if (error != 0) {
        ::unlink(name.c_str());
        throw std::system_error(error, std::generic_category(), path);
    }
    return name;
}

}  // namespace

std::string read_text(const std::string& path) {
    if (path == "-") return read_descriptor(STDIN_FILENO, path);
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(path);
    try {
        std::string text = read_descriptor(descriptor, path);
        ::close(descriptor);
        return text;
    } catch (...) {
        ::close(descriptor);
        throw;
    }
}

std::string read_word(const std::string& path) {
    constexpr std::string_view space = " \t\r\n";
    std::string text = read_text(path);
    text.erase(0, text.find_first_not_of(space));
    text.erase(text.find_last_not_of(space) + 1);
    if (text.empty() || text.find_first_of(space) != std::string::npos)
        throw UsageError(path + " must hold one word and nothing else");
    return text;
}

std::string read_secret(const std::string& path) {
    struct stat status {};
    if (path != "-" && ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        Context::message("warning: others on this machine may read " + path + " (chmod 600 it)");
    return read_word(path);
}

void write_secret(const std::string& path, const std::string& secret) {
    const std::string name = write_beside(path, secret + "\n");
    if (::rename(name.c_str(), path.c_str()) != 0) {
        const int error = errno;
        ::unlink(name.c_str());
        throw std::system_error(error, std::generic_category(), path);
    }
}

}  // namespace fallow::cli
