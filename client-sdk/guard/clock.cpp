#include "guard/clock.hpp"

#include <time.h>

#include <fstream>
#include <stdexcept>

namespace fallow::guard {

std::int64_t boot_clock_ms() {
    timespec now{};
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) throw std::runtime_error("the boot clock cannot be read");
    return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

std::string current_boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    if (!std::getline(file, id) || id.empty())
        throw std::runtime_error("the kernel's boot id cannot be read");
    return id;
}

}  // namespace fallow::guard
