// The half of Guard that talks: its lock, its book on disk, its socket and its timer.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "guard/clock.hpp"
#include "guard/guard.hpp"
#include "guard/protocol.hpp"

namespace fallow::guard {
namespace {

constexpr std::size_t peers_max = 8;
constexpr int lock_tries_max = 50;
constexpr int lock_pause_ms = 20;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

std::string read_whole(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

/// The same user as ours, or root: whoever else reached the socket is not to thaw anything.
bool may_command(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == ::geteuid());
}

bool send_line(int fd, const std::string& text) {
    const std::string line = text + "\n";
    return ::send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(line.size());
}

}  // namespace

Descriptor lock_folder() {
    Descriptor fd(::open(lock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd.get() < 0) fail("the lock cannot be opened");
    // A guard that has just found itself idle may be on its way out.
    for (int attempt = 1; ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
        if (attempt == lock_tries_max) throw std::runtime_error("another guard has this state folder");
        ::poll(nullptr, 0, lock_pause_ms);
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0)
        fail("the lock cannot be written");
    return fd;
}

void Guard::read_book() {
    book_ = Book::parse(read_whole(book_file), boot_id_, options_.fenced_ms_max);
    // The agent notes each heartbeat there once it was acknowledged; ours is as of the book's last change.
    const std::string noted = read_whole(heartbeat_file);
    const auto words = words_of(std::string_view(noted).substr(0, noted.find('\n')));
    if (words.size() < 2 || words[0] != boot_id_) return;
    if (const auto sent = number_of(words[1]); sent && *sent <= boot_clock_ms()) book_.heartbeat(*sent);
}

/// Not synced: it means nothing after the kernel has gone, and a slow disk must not hold up a freeze.
void Guard::save_book() {
    const std::string fresh = std::string(book_file) + ".new";
    {
        std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
        file << book_.encode(boot_id_);
        file.flush();
        if (!file) log_.error("the book cannot be written: what is watched is in memory alone");
    }
    book_changed_ = std::rename(fresh.c_str(), book_file) != 0;
}

void Guard::listen() {
    ::umask(0077);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_file, sizeof address.sun_path - 1);
    listener_ = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(socket_file);
    if (listener_.get() < 0 ||
        ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), static_cast<int>(peers_max)) != 0)
        fail("the socket cannot be opened");
    timer_ = Descriptor(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    if (timer_.get() < 0) fail("there is no timer on the boot clock");
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE})
        sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    sigdelset(&signals, SIGHUP);  // these two are ignored: a closed terminal or peer is no end
    sigdelset(&signals, SIGPIPE);
    signals_ = Descriptor(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (signals_.get() < 0) fail("signals cannot be read");
}

void Guard::say_ready() {
    if (options_.ready_fd < 0) return;
    [[maybe_unused]] const ssize_t written = ::write(options_.ready_fd, "r", 1);
    ::close(options_.ready_fd);
    options_.ready_fd = -1;
}

void Guard::wait() {
    std::vector<pollfd> all = {
        {listener_.get(), POLLIN, 0}, {timer_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    const std::size_t first_peer = all.size();
    for (const Peer& peer : peers_)
        all.push_back({peer.fd.get(), POLLIN, 0});
    for (const auto& [container, process] : processes_)
        all.push_back({process.get(), POLLIN, 0});
    if (::poll(all.data(), all.size(), -1) < 0) return;
    std::uint64_t expirations = 0;
    [[maybe_unused]] const ssize_t taken = ::read(timer_.get(), &expirations, sizeof expirations);
    if (all[2].revents != 0) take_signal();
    // Fences before words: what is due is done before anybody is answered.
    carry_out_due();
    std::vector<Peer> kept;
    for (std::size_t i = 0; i < peers_.size(); ++i)
        if (all[first_peer + i].revents == 0 || read_peer(peers_[i])) kept.push_back(std::move(peers_[i]));
    peers_ = std::move(kept);
    if (all[0].revents != 0) accept_peer();
}

void Guard::take_signal() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info)
        told_to_end_ = true;
}

void Guard::accept_peer() {
    Descriptor fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.get() < 0) return;
    if (!may_command(fd.get())) return log_.warn("a connection of another user is refused");
    if (peers_.size() == peers_max) return log_.warn("a connection too many is refused");
    if (!send_line(fd.get(),
                   "fallow-guard " + std::string(protocol_version) + " " + std::to_string(::getpid())))
        return;
    peers_.push_back({std::move(fd), {}});
    is_known_ = true;
}

bool Guard::read_peer(Peer& peer) {
    std::array<char, 4096> piece{};
    const ssize_t n = ::recv(peer.fd.get(), piece.data(), piece.size(), 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    peer.unread.append(piece.data(), static_cast<std::size_t>(n));
    return serve_lines(peer);
}

bool Guard::serve_lines(Peer& peer) {
    for (std::size_t end = 0; (end = peer.unread.find('\n')) != peer.unread.npos;) {
        const std::string line = peer.unread.substr(0, end);
        peer.unread.erase(0, end + 1);
        if (!send_line(peer.fd.get(), answer(line))) return false;
    }
    return peer.unread.size() <= line_bytes_max;
}

}  // namespace fallow::guard
