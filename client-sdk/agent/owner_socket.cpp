#include "agent/owner_socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

using guard::Descriptor;

constexpr const char* socket_file = "owner.sock";
constexpr std::size_t question_bytes_max = 4096;
constexpr std::size_t answer_bytes_max = 4 << 20;
constexpr std::int64_t patience_ms = 10'000;
constexpr int waiting_max = 8;

/// A path of any length: a socket's name has 108 octets at most, its folder is reached through /proc.
sockaddr_un address_in(const Descriptor& folder) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + socket_file;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

Descriptor open_folder(const std::filesystem::path& folder) {
    return Descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

ucred peer_of(const Descriptor& fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) peer.uid = UINT32_MAX;
    return peer;
}

bool is_ours(const ucred& peer) {
    return peer.uid == 0 || peer.uid == ::geteuid();
}

/// Up to the end of a line, which is left out; nothing when it did not come whole, or in time.
std::optional<std::string> read_line(const Descriptor& fd, std::size_t bytes_max) {
    const std::int64_t deadline = boot_clock_ms() + patience_ms;
    std::string line;
    std::array<char, 4096> buffer{};
    while (line.size() <= bytes_max) {
        pollfd readable{fd.get(), POLLIN, 0};
        const std::int64_t left = deadline - boot_clock_ms();
        if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) return std::nullopt;
        const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (n <= 0) return std::nullopt;
        line.append(buffer.data(), static_cast<std::size_t>(n));
        if (line.back() != '\n') continue;
        line.pop_back();
        return line;
    }
    return std::nullopt;
}

bool write_line(const Descriptor& fd, std::string line) {
    line += '\n';
    std::size_t done = 0;
    while (done < line.size()) {
        const ssize_t n = ::send(fd.get(), line.data() + done, line.size() - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += static_cast<std::size_t>(n);
    }
    return true;
}

void limit_sending(const Descriptor& fd) {
    const timeval patience{patience_ms / 1000, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

}  // namespace

OwnerSocket::OwnerSocket(const std::filesystem::path& state_folder, Answer answer)
    : answer_(std::move(answer)),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
    const Descriptor folder = open_folder(state_folder);
    const sockaddr_un address = address_in(folder);
    ::unlinkat(folder.get(), socket_file, 0);
    // Before it has a name: the file is its owner's alone from its first moment.
    const bool is_open =
        stop_.get() >= 0 && ::fchmod(listener_.get(), 0600) == 0 &&
        ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::listen(listener_.get(), waiting_max) == 0;
    if (!is_open)
        throw std::system_error(errno, std::generic_category(), "the owner's socket cannot be opened");
    thread_ = std::thread([this] { run(); });
}

OwnerSocket::~OwnerSocket() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
}

void OwnerSocket::run() {
    for (;;) {
        std::array<pollfd, 2> all{{{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        if (::poll(all.data(), all.size(), -1) < 0 && errno != EINTR) return;
        if (all[1].revents != 0) return;
        const Descriptor peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (peer.get() >= 0) serve(peer);
    }
}

void OwnerSocket::serve(const Descriptor& peer) {
    const ucred who = peer_of(peer);
    if (!is_ours(who)) {
        spdlog::warn("user {} has no say over this host's cards", who.uid);
        return;
    }
    limit_sending(peer);
    const auto line = read_line(peer, question_bytes_max);
    if (!line) return;
    if (!write_line(peer, answer_(*line, who.pid))) spdlog::debug("the owner's command did not wait");
}

std::string ask_agent(const std::filesystem::path& state_folder, const std::string& line) {
    const Descriptor folder = open_folder(state_folder);
    const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_in(folder);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const std::string where = state_folder.string();
        if (errno == EACCES || errno == EPERM)
            throw std::runtime_error("the agent of " + where +
                                     " belongs to another user: ask as that user or root");
        throw std::runtime_error("no agent runs with the state folder " + where +
                                 ": start it with fallow-agent run");
    }
    if (!is_ours(peer_of(fd)))
        throw std::runtime_error("what listens in " + state_folder.string() + " belongs to somebody else");
    limit_sending(fd);
    const bool is_sent = write_line(fd, line);
    const auto answer = is_sent ? read_line(fd, answer_bytes_max) : std::nullopt;
    if (!answer) throw std::runtime_error("the agent did not answer");
    return *answer;
}

}  // namespace fallow::agent
