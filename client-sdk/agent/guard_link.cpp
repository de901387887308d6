#include "agent/guard_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "guard/process.hpp"
#include "guard/protocol.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

/// A guard that has to ask a slow engine for several containers answers within this.
constexpr std::int64_t answer_timeout_ms = 3000;
constexpr int start_timeout_ms = 5000;
constexpr int tries_max = 3;

struct NoAnswer : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A path of any length: a socket's name has 108 octets at most, its folder is reached through /proc.
sockaddr_un address_in(int folder_fd) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path =
        "/proc/self/fd/" + std::to_string(folder_fd) + "/" + std::string(guard::socket_file);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

struct SpawnActions {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};
    explicit SpawnActions(int ready_fd) {
        posix_spawn_file_actions_init(&actions);
        // Onto itself: it stays open in the child alone.
        posix_spawn_file_actions_adddup2(&actions, ready_fd, ready_fd);
        posix_spawnattr_init(&attributes);
        // The agent's threads block SIGTERM; its guard is to hear it.
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    }
    ~SpawnActions() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
};

pid_t spawn(const std::vector<std::string>& words, int ready_fd) {
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const SpawnActions how(ready_fd);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, words.front().c_str(), &how.actions, &how.attributes,
                                    arguments.data(), environ);
    if (error != 0)
        throw std::runtime_error("the guard cannot be started: " + words.front() + ": " +
                                 std::strerror(error));
    return pid;
}

}  // namespace

fs::path program_beside_this(std::string_view name) {
    return fs::read_symlink("/proc/self/exe").parent_path() / name;
}

GuardLink::GuardLink(GuardOptions options) : options_(std::move(options)) {
    if (options_.program.empty()) options_.program = program_beside_this("fallow-guard");
    options_.state_folder = fs::absolute(options_.state_folder);
    options_.engine_socket = fs::absolute(options_.engine_socket).string();
}

GuardLink::~GuardLink() = default;

bool GuardLink::try_connect() {
    const guard::Descriptor folder(
        ::open(options_.state_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    guard::Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_in(folder.get());
    if (fd.get() < 0 ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return false;
    // The folder is ours alone, and what listens there has to be ours, too.
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != ::geteuid() && peer.uid != 0))
        throw std::runtime_error("what listens at the guard's socket belongs to somebody else");
    fd_ = std::move(fd);
    unread_.clear();
    pid_ = peer.pid;
    return true;
}

/// Throws when it did not come up; one that finds another guard in its place ends without a word.
void GuardLink::start() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("there is no pipe for the guard");
    const guard::Descriptor reader(ends[0]);
    guard::Descriptor writer(ends[1]);
    const pid_t pid =
        spawn({options_.program.string(), "--state", options_.state_folder.string(), "--engine-socket",
               options_.engine_socket, "--fenced-ms-max", std::to_string(options_.fenced_ms_max),
               "--ready-fd", std::to_string(writer.get())},
              writer.get());
    writer.reset();
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    pollfd ready{reader.get(), POLLIN, 0};
    char word = 0;
    const bool is_ready = ::poll(&ready, 1, start_timeout_ms) == 1 && ::read(reader.get(), &word, 1) == 1;
    if (is_ready) spdlog::info("the guard is started");
}

/// Hung, or of another version: its book is on disk, and a new one goes on from it.
void GuardLink::replace_silent() {
    const auto began = guard::start_ticks_of(pid_);
    // While the connection is open the number still means the process at its other end.
    if (fd_.get() >= 0 && pid_ > 1 && began) {
        spdlog::error("the guard, process {}, does not answer and is replaced", pid_);
        guard::kill_process(pid_, *began);
    }
    fd_.reset();
}

void GuardLink::connect() {
    for (int attempt = 1;; ++attempt) {
        if (try_connect()) {
            const std::string greeting = read_line();
            const auto words = guard::words_of(greeting);
            if (words.size() == 3 && words[0] == "fallow-guard" && words[1] == guard::protocol_version)
                break;
            throw NoAnswer("the guard speaks another version");
        }
        if (attempt == tries_max) throw std::runtime_error("no guard can be had");
        start();
    }
    if (heartbeat_boot_ms_ != 0) exchange("heartbeat " + std::to_string(heartbeat_boot_ms_));
}

std::string GuardLink::read_line() {
    const std::int64_t deadline = boot_clock_ms() + answer_timeout_ms;
    std::size_t end = 0;
    while ((end = unread_.find('\n')) == unread_.npos) {
        pollfd ready{fd_.get(), POLLIN, 0};
        // Looked at once more when the time is over: it may be this process that stood still.
        const std::int64_t left = std::max<std::int64_t>(0, deadline - boot_clock_ms());
        if (::poll(&ready, 1, static_cast<int>(left)) != 1) throw NoAnswer("the guard does not answer");
        std::array<char, 4096> piece{};
        const ssize_t n = ::recv(fd_.get(), piece.data(), piece.size(), 0);
        if (n <= 0) {
            fd_.reset();
            throw NoAnswer("the guard is gone");
        }
        unread_.append(piece.data(), static_cast<std::size_t>(n));
    }
    std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 1);
    return line;
}

std::string GuardLink::exchange(const std::string& line) {
    const std::string sent = line + "\n";
    if (::send(fd_.get(), sent.data(), sent.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(sent.size())) {
        fd_.reset();
        throw NoAnswer("the guard is gone");
    }
    return read_line();
}

/// What follows "ok". Every request may be repeated, so that one without an answer is.
std::string GuardLink::ask(const std::string& request) {
    for (int attempt = 1;; ++attempt) {
        try {
            if (fd_.get() < 0) connect();
            const std::string answer = exchange(request);
            if (answer.starts_with("ok")) return answer.substr(std::min<std::size_t>(3, answer.size()));
            if (answer.starts_with("no ")) throw GuardRefusal(answer.substr(3));
            throw NoAnswer("the guard answers what it should not");
        } catch (const NoAnswer& error) {
            replace_silent();
            if (attempt == tries_max) throw;
            spdlog::warn("{}", error.what());
        }
    }
}

void GuardLink::heartbeat(std::int64_t sent_boot_ms) {
    const std::lock_guard lock(mutex_);
    heartbeat_boot_ms_ = std::max(heartbeat_boot_ms_, sent_boot_ms);
    if (fd_.get() < 0) return;
    try {
        ask("heartbeat " + std::to_string(heartbeat_boot_ms_));
    } catch (const std::exception& error) {
        spdlog::error("the guard was not told of a heartbeat: {}", error.what());
    }
}

void GuardLink::watch(const guard::Watched& watched) {
    const std::lock_guard lock(mutex_);
    ask(guard::encode_watched(watched));
}

std::int64_t GuardLink::thaw(const std::string& container) {
    const std::lock_guard lock(mutex_);
    return guard::number_of(ask("thaw " + container)).value_or(boot_clock_ms());
}

void GuardLink::kill(const std::string& container) {
    const std::lock_guard lock(mutex_);
    ask("kill " + container);
}

void GuardLink::drop(const std::string& container) {
    const std::lock_guard lock(mutex_);
    ask("drop " + container);
}

std::vector<guard::Watched> GuardLink::list() {
    const std::lock_guard lock(mutex_);
    const std::string answer = ask("list");
    std::vector<guard::Watched> all;
    for (std::size_t at = 0; at < answer.size();) {
        const std::size_t end = std::min(answer.find(';', at), answer.size());
        if (const auto watched = guard::parse_watched(std::string_view(answer).substr(at, end - at)))
            all.push_back(*watched);
        at = end + 1;
    }
    return all;
}

}  // namespace fallow::agent
