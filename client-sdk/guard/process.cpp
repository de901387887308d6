#include "guard/process.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "guard/book.hpp"

namespace fallow::guard {
namespace {

constexpr std::size_t words_to_start_time = 20;  // of those after the program's name

int pidfd_of(std::int64_t pid) {
    return static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0));
}

}  // namespace

std::optional<std::int64_t> start_ticks_of(std::int64_t pid) {
    if (pid <= 0) return std::nullopt;
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    // The name stands in parentheses and may hold any character: the fields begin after the last one.
    const std::size_t name_end = line.rfind(')');
    if (name_end == line.npos) return std::nullopt;
    const auto words = words_of(std::string_view(line).substr(name_end + 1));
    if (words.size() < words_to_start_time) return std::nullopt;
    return number_of(words[words_to_start_time - 1]);
}

std::int64_t ticks_to_boot_ms(std::int64_t ticks) {
    return ticks * 1000 / ::sysconf(_SC_CLK_TCK);
}

bool is_alive(std::int64_t pid, std::int64_t start_ticks) {
    return pid > 1 && start_ticks_of(pid) == start_ticks;
}

Descriptor watch_process(std::int64_t pid, std::int64_t start_ticks) {
    Descriptor fd(pid > 1 ? pidfd_of(pid) : -1);
    // Checked once it is held: from here on the number cannot come to mean another process.
    if (fd.get() >= 0 && !is_alive(pid, start_ticks)) fd.reset();
    return fd;
}

bool kill_process(std::int64_t pid, std::int64_t start_ticks) {
    const Descriptor fd = watch_process(pid, start_ticks);
    return fd.get() >= 0 && ::syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0) == 0;
}

}  // namespace fallow::guard
