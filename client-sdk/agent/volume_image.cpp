#include "agent/volume_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/run_program.hpp"
#include "guard/descriptor.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;
using guard::Descriptor;

constexpr const char* mkfs = "/sbin/mkfs.ext4";
constexpr std::size_t kept_max = 4;

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// A little larger than what may be filled, for ext4's own tables.
std::int64_t image_bytes(std::int64_t bytes) {
    return bytes + bytes / 32 + 1024 * 1024;
}

Descriptor make_file(const fs::path& path, std::int64_t bytes) {
    Descriptor made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (made.get() < 0 || ::ftruncate(made.get(), bytes) != 0) fail("cannot make " + path.string());
    return made;
}

void format(const fs::path& image, std::int64_t bytes, bool is_encrypted) {
    make_file(image, image_bytes(bytes)).reset();
    run_program({mkfs, "-q", "-F", "-m", "0", "-O", is_encrypted ? "^has_journal,encrypt" : "^has_journal",
                 "-E", "lazy_itable_init=1", image.string()});
}

/// What is no hole. The one that is copied to is as long, and has nothing yet.
void copy_data(const Descriptor& from, const Descriptor& to) {
    off_t end = 0;
    for (off_t at = ::lseek(from.get(), 0, SEEK_DATA); at >= 0; at = ::lseek(from.get(), end, SEEK_DATA)) {
        end = ::lseek(from.get(), at, SEEK_HOLE);
        for (off_t there = at; at < end;) {
            const auto rest = static_cast<std::size_t>(end - at);
            if (::copy_file_range(from.get(), &at, to.get(), &there, rest, 0) <= 0)
                fail("cannot copy an image");
        }
    }
    if (errno != ENXIO) fail("cannot read an image");  // ENXIO: there is no more data
}

Descriptor open_to_read(const fs::path& path) {
    Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (opened.get() < 0) fail("cannot read " + path.string());
    return opened;
}

void forget_oldest(const fs::path& kept) {
    std::vector<std::pair<fs::file_time_type, fs::path>> all;
    for (const auto& entry : fs::directory_iterator(kept))
        all.emplace_back(entry.last_write_time(), entry.path());
    std::ranges::sort(all, std::greater());
    for (std::size_t i = kept_max; i < all.size(); ++i)
        fs::remove(all[i].second);
}

/// Whole on the disk before it has its name: a host that loses its power must not copy half of one.
void keep(const fs::path& path, std::int64_t bytes, bool is_encrypted) {
    fs::create_directories(path.parent_path());
    const fs::path fresh = path.string() + ".fresh";
    fs::remove(fresh);  // of an agent that was killed
    format(fresh, bytes, is_encrypted);
    if (::fsync(open_to_read(fresh).get()) != 0) fail("cannot write " + fresh.string());
    fs::rename(fresh, path);
    forget_oldest(path.parent_path());
}

/// One that is forgotten while it is copied is there until then.
Descriptor open_kept(const fs::path& kept, std::int64_t bytes, bool is_encrypted) {
    static std::mutex of_the_folder;
    const std::lock_guard lock(of_the_folder);
    const fs::path path = kept / fmt::format("{}{}.ext4", bytes, is_encrypted ? "-encrypt" : "");
    if (!fs::exists(path)) keep(path, bytes, is_encrypted);
    return open_to_read(path);
}

}  // namespace

bool can_format_images() {
    return ::access(mkfs, X_OK) == 0;
}

void make_volume_image(const fs::path& image, std::int64_t bytes, bool is_encrypted, const fs::path& kept) {
    if (kept.empty()) return format(image, bytes, is_encrypted);
    const Descriptor known = open_kept(kept, bytes, is_encrypted);
    copy_data(known, make_file(image, image_bytes(bytes)));
}

}  // namespace fallow::agent
