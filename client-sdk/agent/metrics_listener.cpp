#include "agent/metrics_listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

using guard::Descriptor;

constexpr std::size_t request_bytes_max = 8192;
constexpr std::int64_t patience_ms = 2000;
constexpr int waiting_max = 16;

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

[[noreturn]] void refuse(const std::string& address, const char* what) {
    throw std::runtime_error("--metrics " + address + ": " + what +
                             ". Give a loopback address with a port, such as 127.0.0.1:9400");
}

std::uint16_t port_of(const std::string& address, std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        refuse(address, "its port is no number up to 65535");
    return port;
}

Address parse_loopback(const std::string& address) {
    const auto colon = address.rfind(':');
    if (colon == address.npos) refuse(address, "it has no port");
    const std::uint16_t port = port_of(address, std::string_view(address).substr(colon + 1));
    std::string host = address.substr(0, colon);
    if (host == "localhost") host = "127.0.0.1";
    Address parsed;
    if (host.starts_with('[') && host.ends_with(']')) {
        auto* const six = reinterpret_cast<sockaddr_in6*>(&parsed.storage);
        parsed.size = sizeof *six;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six->sin6_addr) != 1)
            refuse(address, "it is no address");
        if (std::memcmp(&six->sin6_addr, &in6addr_loopback, sizeof in6addr_loopback) != 0)
            refuse(address, "others could reach it");
        return parsed;
    }
    auto* const four = reinterpret_cast<sockaddr_in*>(&parsed.storage);
    parsed.size = sizeof *four;
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &four->sin_addr) != 1) refuse(address, "it is no address");
    if (ntohl(four->sin_addr.s_addr) >> 24 != 127) refuse(address, "others could reach it");
    return parsed;
}

std::uint16_t bound_port(const Descriptor& listener) {
    Address bound;
    bound.size = sizeof bound.storage;
    if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0)
        return 0;
    return ntohs(bound.storage.ss_family == AF_INET6
                     ? reinterpret_cast<const sockaddr_in6*>(&bound.storage)->sin6_port
                     : reinterpret_cast<const sockaddr_in*>(&bound.storage)->sin_port);
}

/// The request's first line, once its head has come whole; nothing when it is too long or too late.
std::optional<std::string> read_request_line(const Descriptor& peer) {
    const std::int64_t deadline = boot_clock_ms() + patience_ms;
    std::string head;
    std::array<char, 2048> piece{};
    while (head.size() <= request_bytes_max) {
        if (head.find("\r\n\r\n") != head.npos) return head.substr(0, head.find("\r\n"));
        pollfd readable{peer.get(), POLLIN, 0};
        const std::int64_t left = deadline - boot_clock_ms();
        if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) return std::nullopt;
        const ssize_t n = ::recv(peer.get(), piece.data(), piece.size(), 0);
        if (n <= 0) return std::nullopt;
        head.append(piece.data(), static_cast<std::size_t>(n));
    }
    return std::nullopt;
}

std::string reply(const char* status, const char* more, const std::string& body) {
    return std::string("HTTP/1.1 ") + status + "\r\n" + more +
           "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

std::string answer(const std::string& line, const MetricsListener::Page& page) {
    const auto first = line.find(' ');
    const auto second = line.find(' ', first == line.npos ? first : first + 1);
    if (second == line.npos || !line.substr(second + 1).starts_with("HTTP/1."))
        return reply("400 Bad Request", "", "This is not HTTP/1.\n");
    const std::string method = line.substr(0, first);
    const std::string target = line.substr(first + 1, second - first - 1);
    if (target.substr(0, target.find('?')) != "/metrics")
        return reply("404 Not Found", "", "There is nothing but /metrics.\n");
    if (method != "GET") return reply("405 Method Not Allowed", "Allow: GET\r\n", "Ask with GET.\n");
    return reply("200 OK", "", page());
}

void send_all(const Descriptor& peer, const std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::send(peer.get(), text.data() + done, text.size() - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;  // it did not wait
        done += static_cast<std::size_t>(n);
    }
}

}  // namespace

MetricsListener::MetricsListener(const std::string& address, Page page)
    : page_(std::move(page)), stop_(::eventfd(0, EFD_CLOEXEC)) {
    const Address wanted = parse_loopback(address);
    listener_ =
        Descriptor(::socket(wanted.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const bool is_open =
        stop_.get() >= 0 &&
        ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&wanted.storage), wanted.size) == 0 &&
        ::listen(listener_.get(), waiting_max) == 0;
    if (!is_open) refuse(address, std::strerror(errno));
    port_ = bound_port(listener_);
    thread_ = std::thread([this] { run(); });
}

MetricsListener::~MetricsListener() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
}

void MetricsListener::run() {
    for (;;) {
        std::array<pollfd, 2> all{{{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        if (::poll(all.data(), all.size(), -1) < 0 && errno != EINTR) return;
        if (all[1].revents != 0) return;
        const Descriptor peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (peer.get() < 0) continue;
        try {
            serve(peer);
        } catch (const std::exception& error) {
            spdlog::warn("a request for the metrics was not answered: {}", error.what());
        }
    }
}

void MetricsListener::serve(const Descriptor& peer) {
    const timeval patience{patience_ms / 1000, 0};
    ::setsockopt(peer.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (const auto line = read_request_line(peer)) send_all(peer, answer(*line, page_));
}

}  // namespace fallow::agent
