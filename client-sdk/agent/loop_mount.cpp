#include "agent/loop_mount.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>

#include "guard/descriptor.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;
using guard::Descriptor;

constexpr const char* control = "/dev/loop-control";
/// Between the answer and its use somebody else may take a device.
constexpr int tries_max = 64;

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// A device that shows the image, as long as somebody holds it open or has it mounted.
struct Loop {
    std::string path;
    Descriptor device;
};

Loop open_loop(const fs::path& image, bool is_read_only) {
    const int access = is_read_only ? O_RDONLY : O_RDWR;
    const Descriptor shown(::open(image.c_str(), access | O_CLOEXEC));
    if (shown.get() < 0) fail("cannot open " + image.string());
    const Descriptor loops(::open(control, O_RDWR | O_CLOEXEC));
    if (loops.get() < 0) fail(std::string("cannot open ") + control);
    loop_config wanted{};
    wanted.fd = static_cast<std::uint32_t>(shown.get());
    wanted.info.lo_flags =
        static_cast<std::uint32_t>(LO_FLAGS_AUTOCLEAR | (is_read_only ? LO_FLAGS_READ_ONLY : 0));
    for (int attempt = 1;; ++attempt) {
        const int number = ::ioctl(loops.get(), LOOP_CTL_GET_FREE);
        if (number < 0) fail("no loop device is free");
        Loop made{"/dev/loop" + std::to_string(number), {}};
        made.device.reset(::open(made.path.c_str(), access | O_CLOEXEC));
        if (made.device.get() < 0) fail("cannot open " + made.path);
        if (::ioctl(made.device.get(), LOOP_CONFIGURE, &wanted) == 0) return made;
        if (errno != EBUSY || attempt == tries_max) fail(made.path + " cannot show " + image.string());
    }
}

}  // namespace

bool can_mount_loops() {
    return ::access(control, R_OK | W_OK) == 0;
}

void mount_loop(const fs::path& image, const fs::path& target, bool is_read_only) {
    const Loop loop = open_loop(image, is_read_only);
    const unsigned long flags = MS_NOSUID | MS_NODEV | (is_read_only ? MS_RDONLY : 0);
    // Read only, nothing is written at all: what another mount of it has not finished is left to that one.
    if (::mount(loop.path.c_str(), target.c_str(), "ext4", flags, is_read_only ? "noload" : "") != 0)
        fail("cannot mount " + image.string() + " at " + target.string());
}

}  // namespace fallow::agent
