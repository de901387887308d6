#include "guard/log.hpp"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace fallow::guard {
namespace {

std::string timestamp() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    std::array<char, 40> text{};
    const std::size_t size = ::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::array<char, 8> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(now.tv_nsec / 1'000'000));
    return std::string(text.data(), size) + fraction.data();
}

}  // namespace

void Log::add(std::string_view level, std::string message) {
    for (char& c : message)
        if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '\'';
    lines_.push_back(R"({"time":")" + timestamp() + R"(","level":")" + std::string(level) +
                     R"(","message":"guard: )" + message + "\"}\n");
}

void Log::flush() {
    for (const std::string& line : lines_) {
        pollfd room{STDERR_FILENO, POLLOUT, 0};
        if (::poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) continue;
        if (::write(STDERR_FILENO, line.data(), line.size()) < 0) break;
    }
    lines_.clear();
}

}  // namespace fallow::guard
