#include "agent/container_port.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace fallow::agent {
namespace {

constexpr timeval connect_timeout{5, 0};

}  // namespace

ContainerPort::ContainerPort(std::int64_t pid, int port) {
    // A thread has a network namespace of its own, and a socket stays in the one that it was made in: so a
    // thread goes in, connects, and ends there.
    std::thread([this, pid, port] { connect_from_within(pid, port); }).join();
}

ContainerPort::~ContainerPort() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void ContainerPort::connect_from_within(std::int64_t pid, int port) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
    const int network = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool is_inside = network >= 0 && ::setns(network, CLONE_NEWNET) == 0;
    if (!is_inside) problem_ = std::string("its network cannot be entered: ") + std::strerror(errno);
    if (network >= 0) ::close(network);
    if (!is_inside) return;
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) {
        problem_ = std::strerror(errno);
        return;
    }
    ::setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &connect_timeout, sizeof connect_timeout);
    const int one = 1;
    ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        problem_ = std::strerror(errno);
        ::close(made);
        return;
    }
    descriptor_ = made;
}

}  // namespace fallow::agent
