#include "agent/gang_tunnels.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "agent/clock.hpp"
#include "agent/network_space.hpp"
#include "agent/run_program.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* setsid_program = "/usr/bin/setsid";
constexpr std::int64_t end_patience_ms = 2000;
constexpr std::int64_t port_patience_ms = 5000;
constexpr std::int64_t look_every_ms = 20;

std::string interface_of(std::uint16_t port) {
    return fmt::format("fwg{}", port);
}

void wait_a_little() {
    std::this_thread::sleep_for(std::chrono::milliseconds(look_every_ms));
}

/// Of UDP, in both families, at all addresses.
bool is_port_free(std::uint16_t port) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    const auto can_bind = [](const auto& address, int family) {
        const int made = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (made < 0) return true;  // a family that this host does not have
        const int on = 1;
        if (family == AF_INET6) ::setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        const bool is_bound =
            ::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::close(made);
        return is_bound;
    };
    return can_bind(ipv4, AF_INET) && can_bind(ipv6, AF_INET6);
}

/// The end that had it may have been given up a moment ago.
void wait_for_port(std::uint16_t port) {
    const std::int64_t began = boot_clock_ms();
    for (; !is_port_free(port); wait_a_little())
        if (boot_clock_ms() - began >= port_patience_ms)
            throw std::runtime_error(fmt::format(
                "UDP port {} of --gang-endpoint is taken by another program of this host", port));
}

/// Whether the process has the calling thread's network namespace, and so is no guest's.
bool is_beside_us(const std::string& process) {
    struct stat its {};
    struct stat ours {};
    return ::stat((process + "/ns/net").c_str(), &its) == 0 &&
           ::stat("/proc/thread-self/ns/net", &ours) == 0 && its.st_ino == ours.st_ino &&
           its.st_dev == ours.st_dev;
}

/// The processes that `program` was started as, with the one argument. One that has ended has no words.
std::vector<pid_t> processes_of(const std::string& program, const std::string& argument) {
    const std::string wanted = program + '\0' + argument + '\0';
    std::vector<pid_t> found;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
        const std::string name = entry.path().filename().string();
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error != std::errc() || end != name.data() + name.size()) continue;
        std::ifstream file(entry.path() / "cmdline", std::ios::binary);
        const std::string words((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        if (words == wanted && is_beside_us(entry.path().string())) found.push_back(pid);
    }
    return found;
}

}  // namespace

void GangTunnels::check() {
    const std::string name = fmt::format("fwt{}", ::getpid());
    const auto problem_of = [&](bool is_of_kernel) {
        is_of_kernel_ = is_of_kernel;
        try {
            make(name);
            clear(name);
            return std::string();
        } catch (const std::runtime_error& error) {
            return std::string(error.what());
        }
    };
    if (options_.may_be_of_kernel && problem_of(true).empty()) return;
    const std::string problem = problem_of(false);
    if (problem.empty()) return;
    throw std::runtime_error("no WireGuard interface can be made here: " + problem +
                             " Load the kernel's module wireguard, or install wireguard-go and have "
                             "/dev/net/tun; wireguard-tools is needed in any case");
}

std::uint16_t GangTunnels::take_port(const std::string& lease_id) {
    const std::lock_guard lock(mutex_);
    if (const auto found = ports_.find(lease_id); found != ports_.end()) return found->second;
    const auto is_taken = [&](int port) {
        return std::ranges::any_of(ports_, [&](const auto& entry) { return entry.second == port; });
    };
    for (int port = options_.endpoint.first_port; port <= options_.endpoint.last_port; ++port) {
        if (is_taken(port)) continue;
        ports_[lease_id] = static_cast<std::uint16_t>(port);
        return static_cast<std::uint16_t>(port);
    }
    throw std::runtime_error("all ports of --gang-endpoint are taken: give as many as there are cards");
}

void GangTunnels::keep_port(const std::string& lease_id, std::uint16_t port) {
    const std::lock_guard lock(mutex_);
    ports_[lease_id] = port;
}

/// A process in a session of its own goes on when the agent ends, and hears nothing of its terminal.
void GangTunnels::make(const std::string& name) const {
    try {
        if (is_of_kernel_)
            run_program({options_.ip_program, "link", "add", name, "type", "wireguard"});
        else
            run_program({setsid_program, "--wait", options_.wireguard_go_program, name});
        run_program({options_.wg_program, "show", name});
    } catch (...) {
        clear(name);
        throw;
    }
}

void GangTunnels::end_processes(const std::string& name) const {
    const std::int64_t began = boot_clock_ms();
    int number = SIGTERM;
    for (;;) {
        const std::vector<pid_t> processes = processes_of(options_.wireguard_go_program, name);
        if (processes.empty()) return;
        for (const pid_t pid : processes)
            ::kill(pid, number);
        if (boot_clock_ms() - began >= end_patience_ms) {
            if (number == SIGKILL) throw std::runtime_error("wireguard-go for " + name + " does not end");
            number = SIGKILL;
        }
        wait_a_little();
    }
}

/// Away with what a try that was broken off has left.
void GangTunnels::clear(const std::string& name) const {
    if (!is_of_kernel_) end_processes(name);
    if (interface_names().contains(name)) run_program({options_.ip_program, "link", "del", name});
}

void GangTunnels::join(std::int64_t pid, const Gang& gang, const std::string& private_key,
                       std::uint16_t port) {
    if (const auto closed = closed_member(gang, options_.opened))
        throw std::runtime_error(fmt::format(
            "the host of {} is said to be at {}, which is in no network that this host's owner has opened "
            "(--gang-peers)",
            gang_name(closed->rank), closed->endpoint));
    for (const GangMember& member : gang.members)
        if (!is_tunnel_key(member.public_key))
            throw std::runtime_error("what the server names is no key of " + gang_name(member.rank));
    const std::lock_guard lock(mutex_);
    const std::string name = interface_of(port);
    const NetworkSpace guest(network_path_of(pid));
    bool is_there = false;
    // Rules before the line: nothing goes through in between.
    within(guest.number(), [&] {
        run_program({options_.nft_program, "-f", "-"}, gang_guest_rules(gang.rank));
        is_there = interface_names().contains(std::string(gang_interface));
    });
    if (!is_there) {
        clear(name);
        wait_for_port(port);
        make(name);
        try {
            run_program({options_.wg_program, "setconf", name, "/dev/stdin"},
                        wireguard_config(gang, private_key, port));
            run_program({options_.ip_program, "link", "set", "dev", name, "netns", std::to_string(pid),
                         "name", std::string(gang_interface)});
        } catch (...) {
            clear(name);
            throw;
        }
    }
    within(guest.number(), [&] {
        run_program({options_.ip_program, "-batch", "-"}, gang_guest_commands(gang.rank));
    });
}

void GangTunnels::leave(const std::string& lease_id) {
    const std::lock_guard lock(mutex_);
    const auto found = ports_.find(lease_id);
    if (found == ports_.end()) return;
    if (!is_of_kernel_) end_processes(interface_of(found->second));
    ports_.erase(found);
}

}  // namespace fallow::agent
