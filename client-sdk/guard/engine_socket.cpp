#include "guard/engine_socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

#include "guard/clock.hpp"
#include "guard/descriptor.hpp"

namespace fallow::guard {
namespace {

constexpr std::size_t head_bytes_wanted = sizeof "HTTP/1.1 204" - 1;

/// True when the socket is ready before the deadline.
bool wait_for(int fd, short events, std::int64_t deadline_boot_ms) {
    pollfd ready{fd, events, 0};
    const std::int64_t left = deadline_boot_ms - boot_clock_ms();
    return left > 0 && ::poll(&ready, 1, static_cast<int>(left)) == 1;
}

bool connect_to(int fd, const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    // EAGAIN is a full queue of waiting connections: an engine that hangs.
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/// "HTTP/1.1 204 …" to 204; 0 for anything else.
int status_of(std::string_view head) {
    if (head.size() < head_bytes_wanted || !head.starts_with("HTTP/1.")) return 0;
    int status = 0;
    for (const char c : head.substr(9, 3)) {
        if (c < '0' || c > '9') return 0;
        status = status * 10 + (c - '0');
    }
    return status;
}

}  // namespace

EngineAnswer EngineSocket::post(const std::string& target, std::int64_t timeout_ms) const {
    const std::int64_t deadline = boot_clock_ms() + timeout_ms;
    const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0 || !connect_to(fd.get(), path_)) return EngineAnswer::silent;
    const std::string request =
        "POST /v1.41/containers/" + target +
        " HTTP/1.1\r\nHost: engine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
        return EngineAnswer::silent;
    std::string head;
    std::array<char, 256> piece{};
    while (head.size() < head_bytes_wanted) {
        if (!wait_for(fd.get(), POLLIN, deadline)) return EngineAnswer::silent;
        const ssize_t n = ::recv(fd.get(), piece.data(), piece.size(), 0);
        if (n <= 0) return EngineAnswer::silent;
        head.append(piece.data(), static_cast<std::size_t>(n));
    }
    const int status = status_of(head);
    return status >= 200 && status < 300 ? EngineAnswer::done : EngineAnswer::refused;
}

EngineAnswer EngineSocket::pause(const std::string& container_id, std::int64_t timeout_ms) const {
    return post(container_id + "/pause", timeout_ms);
}

EngineAnswer EngineSocket::unpause(const std::string& container_id, std::int64_t timeout_ms) const {
    return post(container_id + "/unpause", timeout_ms);
}

EngineAnswer EngineSocket::kill(const std::string& container_id, std::int64_t timeout_ms) const {
    return post(container_id + "/kill?signal=SIGKILL", timeout_ms);
}

}  // namespace fallow::guard
