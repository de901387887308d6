// A small internet of network namespaces: a host with two lines, one to the internet and one to its own
// network, and servers at both ends. The test program itself becomes the host, as long as a world lives.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "agent/network_gate.hpp"
#include "agent/run_program.hpp"

namespace fallow::agent::testing {

inline void in_a_thread(const std::function<void()>& act) {
    std::exception_ptr problem;
    std::thread([&] {
        try {
            act();
        } catch (...) {
            problem = std::current_exception();
        }
    }).join();
    if (problem) std::rethrow_exception(problem);
}

inline void must(bool is_fine, const char* what) {
    if (!is_fine) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

/// A network namespace, held open.
class Network {
  public:
    static Network current() { return at("/proc/thread-self/ns/net"); }
    static Network at(const std::string& path) {
        return Network(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
    static Network of(std::int64_t pid) { return at("/proc/" + std::to_string(pid) + "/ns/net"); }
    static Network fresh() {
        int made = -1;
        in_a_thread([&] {
            must(::unshare(CLONE_NEWNET) == 0, "a network namespace");
            made = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        });
        return Network(made);
    }
    ~Network() { ::close(number_); }
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    void within(const std::function<void()>& act) const {
        in_a_thread([&] {
            enter();
            act();
        });
    }
    void enter() const { must(::setns(number_, CLONE_NEWNET) == 0, "entering a network namespace"); }
    void ip(const std::string& commands) const {
        within([&] { run_program({"/sbin/ip", "-batch", "-"}, commands); });
    }
    void nft(const std::string& rules) const {
        within([&] { run_program({"/usr/sbin/nft", "-f", "-"}, rules); });
    }
    /// As `ip` takes it.
    [[nodiscard]] std::string path() const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(number_);
    }
    /// Whether a server there answers on this TCP port.
    [[nodiscard]] bool reaches(const std::string& address, int port = 7000) const {
        bool answered = false;
        within([&] { answered = is_answered(address, port); });
        return answered;
    }

  private:
    explicit Network(int number) : number_(number) { must(number >= 0, "a network namespace"); }

    static bool is_answered(const std::string& address, int port) {
        constexpr int patience_ms = 1500;  // only what is dropped and not refused takes so long
        sockaddr_in6 ipv6{};
        sockaddr_in ipv4{};
        const bool is_ipv6 = address.find(':') != address.npos;
        ipv6.sin6_family = AF_INET6;
        ipv6.sin6_port = htons(static_cast<std::uint16_t>(port));
        ipv4.sin_family = AF_INET;
        ipv4.sin_port = ipv6.sin6_port;
        void* const target = is_ipv6 ? static_cast<void*>(&ipv6.sin6_addr) : &ipv4.sin_addr;
        must(::inet_pton(is_ipv6 ? AF_INET6 : AF_INET, address.c_str(), target) == 1, "an address");
        const int line =
            ::socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        must(line >= 0, "a socket");
        const auto* const to =
            is_ipv6 ? reinterpret_cast<const sockaddr*>(&ipv6) : reinterpret_cast<const sockaddr*>(&ipv4);
        const socklen_t length = is_ipv6 ? sizeof ipv6 : sizeof ipv4;
        bool answered = false;
        if (::connect(line, to, length) == 0 || errno == EINPROGRESS) {
            pollfd waits{line, POLLIN, 0};
            char answer = 0;
            answered =
                ::poll(&waits, 1, patience_ms) == 1 && ::read(line, &answer, 1) == 1 && answer == '!';
        }
        ::close(line);
        return answered;
    }

    int number_;
};

/// Answers every TCP connection on two ports, at all addresses of its namespace, in both families.
class Server {
  public:
    explicit Server(const Network& network) : stop_(::eventfd(0, EFD_CLOEXEC)) {
        network.within([&] {
            for (std::size_t i = 0; i < listeners_.size(); ++i)
                listeners_[i] = listen_at(static_cast<std::uint16_t>(7000 + i));
        });
        thread_ = std::thread([this] { serve(); });
    }
    ~Server() {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(stop_, &one, sizeof one));
        thread_.join();
        for (const int listener : listeners_)
            ::close(listener);
        ::close(stop_);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

  private:
    static int listen_at(std::uint16_t port) {
        const int made = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(made >= 0, "a socket");
        const int off = 0;
        ::setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        sockaddr_in6 any{};
        any.sin6_family = AF_INET6;
        any.sin6_port = htons(port);
        must(::bind(made, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0, "a port");
        must(::listen(made, 64) == 0, "listening");
        return made;
    }
    void serve() {
        for (;;) {
            std::array<pollfd, 3> waits{
                {{listeners_[0], POLLIN, 0}, {listeners_[1], POLLIN, 0}, {stop_, POLLIN, 0}}};
            ::poll(waits.data(), waits.size(), -1);
            if (waits[2].revents != 0) return;
            for (std::size_t i = 0; i < listeners_.size(); ++i) {
                if (waits[i].revents == 0) continue;
                const int line = ::accept4(listeners_[i], nullptr, nullptr, SOCK_CLOEXEC);
                if (line < 0) continue;
                static_cast<void>(!::write(line, "!\n", 2));
                ::close(line);
            }
        }
    }

    std::array<int, 2> listeners_{};
    int stop_;
    std::thread thread_;
};

/// The calling thread, which must be the program's first, is at the host.
class EgressWorld {
  public:
    EgressWorld() : before_(Network::current()), internet(Network::fresh()), lan(Network::fresh()) {
        run_program(
            {"/sbin/ip", "-batch", "-"},
            "link set lo up\n"
            "link add wan0 type veth peer name up0 netns " +
                internet.path() +
                "\n"
                "link add lan0 type veth peer name up0 netns " +
                lan.path() +
                "\n"
                "addr add 5.5.5.2/24 dev wan0\naddr add 2a01:db0::2/64 dev wan0 nodad\nlink set wan0 up\n"
                "addr add 192.168.7.1/24 dev lan0\naddr add fd12::1/64 dev lan0 nodad\nlink set lan0 up\n");
        internet.ip(
            "link set lo up\nlink set up0 up\naddr add 5.5.5.1/24 dev up0\n"
            "addr add 2a01:db0::1/64 dev up0 nodad\naddr add 8.8.4.4/32 dev lo\n"
            "addr add 2a00:1450::99/128 dev lo nodad\naddr add 169.254.169.254/32 dev lo\n");
        lan.ip(
            "link set lo up\nlink set up0 up\naddr add 192.168.7.2/24 dev up0\naddr add fd12::2/64 dev up0 "
            "nodad\n"
            "addr add 10.1.2.3/32 dev lo\naddr add 172.16.5.5/32 dev lo\naddr add 100.64.0.9/32 dev lo\n"
            "route add 8.8.4.4 via 192.168.7.1\nroute add 2a00:1450::99 via fd12::1\n");
        run_program({"/sbin/ip", "-batch", "-"},
                    "route add default via 5.5.5.1\nroute add ::/0 via 2a01:db0::1\n"
                    "route add 10.1.2.3 via 192.168.7.2\nroute add 172.16.5.5 via 192.168.7.2\n"
                    "route add 100.64.0.9 via 192.168.7.2\n");
    }
    ~EgressWorld() { before_.enter(); }
    EgressWorld(const EgressWorld&) = delete;
    EgressWorld& operator=(const EgressWorld&) = delete;

  private:
    static Network become_host() {
        must(::unshare(CLONE_NEWNET) == 0, "a network namespace");
        return Network::current();
    }
    Network before_;

  public:
    Network internet;
    Network lan;
    Network host = become_host();
    Server at_internet{internet};
    Server at_lan{lan};
    Server at_host{host};
};

/// A process that has a network namespace of its own with nothing in it, as a container that is not
/// started.
class Nobody {
  public:
    Nobody() {
        std::array<int, 2> ready{};
        must(::pipe2(ready.data(), O_CLOEXEC) == 0, "a pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            if (::unshare(CLONE_NEWNET) == 0) static_cast<void>(!::write(ready[1], "!", 1));
            for (;;)
                ::pause();
        }
        char answer = 0;
        must(pid_ > 0 && ::read(ready[0], &answer, 1) == 1, "a process");
        for (const int end : ready)
            ::close(end);
    }
    ~Nobody() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Nobody(const Nobody&) = delete;
    Nobody& operator=(const Nobody&) = delete;
    [[nodiscard]] std::int64_t pid() const { return pid_; }
    [[nodiscard]] Network network() const { return Network::of(pid_); }

  private:
    pid_t pid_ = 0;
};

/// Its gate goes with it.
struct Gate {
    explicit Gate(EgressPolicy policy = {})
        : gate(std::make_shared<NetworkGate>(options(std::move(policy)))) {}
    ~Gate() {
        gate->close();
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    void connect(const Nobody& guest, const TrafficTerms& terms = {"lease_1"}) const {
        gate->connect(guest.pid(), terms);
    }
    [[nodiscard]] GateOptions options(EgressPolicy policy) const {
        GateOptions made;
        made.folder = folder / "network";
        made.run_folder = folder / "run";
        made.policy = std::move(policy);
        return made;
    }
    [[nodiscard]] Network network() const { return Network::at(folder / "network" / "gate"); }
    static std::filesystem::path fresh_folder() {
        std::string name = "/tmp/fallow-gate-XXXXXX";
        must(::mkdtemp(name.data()) != nullptr, "a folder");
        return name;
    }
    std::filesystem::path folder = fresh_folder();
    std::shared_ptr<NetworkGate> gate;
};

}  // namespace fallow::agent::testing
