#include "agent/network_gate.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "agent/link_socket.hpp"
#include "agent/network_space.hpp"
#include "agent/run_program.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr long nsfs_magic = 0x6e736673;

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

constexpr std::string_view guest_prefix = "g";
constexpr const char* guest_interface = "eth0";
constexpr int ipv4_prefix = 30;  // of all lines
constexpr int ipv6_prefix = 64;

int lowest_free(const std::set<std::string>& names, std::string_view prefix, int max) {
    for (int index = 0; index < max; ++index)
        if (!names.contains(fmt::format("{}{}", prefix, index))) return index;
    throw std::runtime_error("there are too many guest networks on this host");
}

/// "g5"; "gre0" may be there, too.
bool is_guest_name(std::string_view name) {
    if (!name.starts_with(guest_prefix) || name.size() == guest_prefix.size()) return false;
    name.remove_prefix(guest_prefix.size());
    return name.find_first_not_of("0123456789") == name.npos;
}

std::string guest_name(int index) {
    return fmt::format("{}{}", guest_prefix, index);
}

std::vector<std::string> addresses_here() {
    ifaddrs* raw = nullptr;
    if (::getifaddrs(&raw) != 0) fail("cannot list this host's addresses");
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(raw, &::freeifaddrs);
    std::set<std::string> found;
    for (const ifaddrs* one = all.get(); one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr) continue;
        std::array<char, INET6_ADDRSTRLEN> text{};
        const void* address = nullptr;
        if (one->ifa_addr->sa_family == AF_INET)
            address = &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr;
        if (one->ifa_addr->sa_family == AF_INET6)
            address = &reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr;
        if (address == nullptr) continue;
        ::inet_ntop(one->ifa_addr->sa_family, address, text.data(), text.size());
        found.emplace(text.data());
    }
    return {found.begin(), found.end()};
}

std::string read_text(const fs::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

void write_text(const fs::path& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    if (!file) throw std::runtime_error("cannot write " + path.string());
}

bool has_ipv6() {
    return fs::exists("/proc/sys/net/ipv6/conf/all/forwarding");
}

/// A router believes no router advertisements unless it is told to: what had its route from one keeps it.
void keep_advertised_routes() {
    for (const auto& entry : fs::directory_iterator("/proc/sys/net/ipv6/conf")) {
        const fs::path setting = entry.path() / "accept_ra";
        if (read_text(setting).starts_with('1')) write_text(setting, "2");
    }
}

std::string link_commands(std::string_view name, const std::string& ipv4, const std::string& ipv6) {
    std::string commands = fmt::format("addr add {}/{} dev {}\n", ipv4, ipv4_prefix, name);
    if (has_ipv6()) commands += fmt::format("addr add {}/{} dev {} nodad\n", ipv6, ipv6_prefix, name);
    return commands + fmt::format("link set {} up\n", name);
}

std::string default_routes(const std::string& ipv4, const std::string& ipv6) {
    std::string commands = fmt::format("route add default via {}\n", ipv4);
    if (has_ipv6()) commands += fmt::format("route add ::/0 via {}\n", ipv6);
    return commands;
}

// A guest's line, without programs: its container waits for it.

/// In the gate.
void make_line(int index, int guest) {
    const std::string name = guest_name(index);
    const LinkAddresses link = guest_addresses(index);
    LinkSocket kernel;
    kernel.add_line(name, guest, guest_interface);
    kernel.add_address(name, link.near_ipv4, ipv4_prefix);
    if (has_ipv6()) kernel.add_address(name, link.near_ipv6, ipv6_prefix);
    kernel.set_up(name);
}

/// In the guest's namespace.
void configure_guest(const LinkAddresses& link) {
    LinkSocket kernel;
    kernel.set_up("lo");
    kernel.add_address(guest_interface, link.far_ipv4, ipv4_prefix);
    if (has_ipv6()) kernel.add_address(guest_interface, link.far_ipv6, ipv6_prefix);
    kernel.set_up(guest_interface);
    kernel.add_default_route(link.near_ipv4);
    if (has_ipv6()) kernel.add_default_route(link.near_ipv6);
}

/// The version that `change` has made; nothing when somebody else may have had a part in it.
std::optional<RulesetVersion> change_rules(int network, const std::function<void()>& change) {
    RulesetVersion before;
    RulesetVersion after;
    within(network, [&] {
        before = ruleset_version();
        change();
        after = ruleset_version();
    });
    return after == before.next() ? std::optional(after) : std::nullopt;
}

}  // namespace

void NetworkGate::batch(int network, const std::string& commands) const {
    within(network, [&] { run_program({options_.ip_program, "-batch", "-"}, commands); });
}

std::optional<RulesetVersion> NetworkGate::load_rules(int network, const std::string& rules) const {
    return change_rules(network, [&] { run_program({options_.nft_program, "-f", "-"}, rules); });
}

const GateTraffic& NetworkGate::read_traffic(int gate) {
    traffic_version_.reset();
    RulesetVersion before;
    RulesetVersion after;
    std::string ruleset;
    within(gate, [&] {
        before = ruleset_version();
        ruleset = ask_program({options_.nft_program, "-j", "list", "ruleset"});
        after = ruleset_version();
    });
    traffic_ = parse_traffic(ruleset);
    if (after == before) traffic_version_ = after;
    return traffic_;
}

/// What is in the gate. Its counts may be older.
const GateTraffic& NetworkGate::known_traffic(int gate) {
    RulesetVersion now;
    within(gate, [&] { now = ruleset_version(); });
    return traffic_version_ == now ? traffic_ : read_traffic(gate);
}

/// With counts of now where these terms need them: a limit that takes another one's place goes on from
/// them.
const GateTraffic& NetworkGate::traffic_before(const TrafficTerms& terms, int gate) {
    const GateTraffic& known = known_traffic(gate);
    const auto lease = known.leases.find(terms.lease_id);
    const bool goes_on = lease != known.leases.end() && lease->second.bytes_max != terms.bytes_max;
    return goes_on ? read_traffic(gate) : known;
}

/// Puts `rules` in force in the gate, which was as `traffic_` says and is then as `then` says.
void NetworkGate::change_traffic(int gate, const RuleBatch& rules, GateTraffic then) {
    if (rules.empty()) return;
    const auto before = std::exchange(traffic_version_, std::nullopt);
    const auto after = change_rules(gate, [&] { rules.put_in_force(); });
    if (!before || after != before->next()) return;
    traffic_ = std::move(then);
    traffic_version_ = after;
}

/// An agent of before traffic was counted has connected them.
std::string NetworkGate::uncounted_guests(int gate) {
    if (read_traffic(gate).is_there) return {};
    std::set<std::string> names;
    within(gate, [&] { names = interface_names(); });
    std::vector<std::string> guests;
    for (const std::string& name : names)
        if (is_guest_name(name)) guests.push_back(name);
    return uncounted_rules(guests);
}

bool NetworkGate::is_open() const {
    struct statfs facts {};
    return ::statfs(handle().c_str(), &facts) == 0 && facts.f_type == nsfs_magic;
}

void NetworkGate::make_namespace() {
    if (is_open()) return;
    rules_in_force_.clear();
    ready_.clear();
    fs::create_directories(options_.folder);
    fs::permissions(options_.folder, fs::perms::owner_all);
    write_text(handle(), "");
    in_thread([&] {
        if (::unshare(CLONE_NEWNET) != 0)
            fail("cannot make a network namespace (fallow-agent has to be root)");
        if (::mount("/proc/thread-self/ns/net", handle().c_str(), nullptr, MS_BIND, nullptr) != 0)
            fail("cannot keep a network namespace at " + handle().string());
    });
}

void NetworkGate::make_uplink(int gate) const {
    bool is_there = false;
    within(gate, [&] { is_there = interface_names().contains(std::string(gate_uplink)); });
    if (is_there) return;
    const int index = lowest_free(interface_names(), host_uplink_prefix, uplinks_max);
    const std::string name = fmt::format("{}{}", host_uplink_prefix, index);
    const LinkAddresses link = uplink_addresses(index);
    batch(gate, "link set lo up\n" + fmt::format("link add {} type veth peer name {} netns {}\n",
                                                 gate_uplink, name, ::getpid()));
    batch(this_network, link_commands(name, link.near_ipv4, link.near_ipv6));
    batch(gate, link_commands(gate_uplink, link.far_ipv4, link.far_ipv6) +
                    default_routes(link.near_ipv4, link.near_ipv6));
}

/// Forwarding is one switch for the whole host, and there until its next boot: as long is remembered that
/// it was off.
void NetworkGate::forward_here() const {
    fs::create_directories(options_.run_folder);
    const auto switch_on = [&](const char* family, const char* setting) {
        if (!read_text(setting).starts_with('0')) return;
        write_text(options_.run_folder / (std::string("forwarding-was-off-") + family), "");
        write_text(setting, "1");
    };
    switch_on("ipv4", "/proc/sys/net/ipv4/ip_forward");
    if (!has_ipv6()) return;
    keep_advertised_routes();
    switch_on("ipv6", "/proc/sys/net/ipv6/conf/all/forwarding");
}

/// Anybody may flush the host's.
void NetworkGate::make_host_rules() {
    const auto was_off = [&](const char* family, const char* setting) {
        return fs::exists(options_.run_folder / (std::string("forwarding-was-off-") + family)) ||
               read_text(setting).starts_with('0');
    };
    std::string rules = host_rules({was_off("ipv4", "/proc/sys/net/ipv4/ip_forward"),
                                    was_off("ipv6", "/proc/sys/net/ipv6/conf/all/forwarding")});
    if (rules == host_rules_ && host_version_ == ruleset_version()) return;
    host_version_ = load_rules(this_network, rules);
    host_rules_ = std::move(rules);
}

void NetworkGate::make_rules(int gate) {
    // Nobody but us changes the gate's.
    std::string rules = gate_rules(options_.policy, addresses_here()) + traffic_rules();
    if (rules != rules_in_force_) {
        static_cast<void>(load_rules(gate, rules + uncounted_guests(gate)));
        rules_in_force_ = std::move(rules);
    }
    make_host_rules();  // before forwarding: nobody is let through in between
    within(gate, [] {
        write_text("/proc/sys/net/ipv4/ip_forward", "1");
        if (has_ipv6()) write_text("/proc/sys/net/ipv6/conf/all/forwarding", "1");
    });
    forward_here();
}

void NetworkGate::open_locked() {
    make_namespace();
    const NetworkSpace gate(handle().string());
    make_rules(gate.number());
    make_uplink(gate.number());
}

void NetworkGate::open() {
    const std::lock_guard lock(mutex_);
    open_locked();
}

/// The number of the line that the lease's next guest gets.
int NetworkGate::choose_line(const std::string& lease_id, int gate) const {
    if (const auto own = ready_.find(lease_id); own != ready_.end()) return own->second;
    std::set<std::string> taken;
    within(gate, [&] { taken = interface_names(); });
    for (const auto& [lease, index] : ready_)
        taken.insert(guest_name(index));
    return lowest_free(taken, guest_prefix, guests_max);
}

void NetworkGate::make_ready_locked(const TrafficTerms& terms) {
    open_locked();
    const NetworkSpace gate(handle().string());
    const int index = choose_line(terms.lease_id, gate.number());
    const GateTraffic& now = traffic_before(terms, gate.number());
    const std::string name = guest_name(index);
    RuleBatch rules = meter_rules(terms, now);
    rules.append(guest_rules(name, terms.lease_id, now));
    change_traffic(gate.number(), rules, with_guest(name, terms.lease_id, with_meter(terms, now)));
    ready_[terms.lease_id] = index;
}

void NetworkGate::make_ready(const TrafficTerms& terms) {
    const std::lock_guard lock(mutex_);
    make_ready_locked(terms);
}

void NetworkGate::connect(std::int64_t pid, const TrafficTerms& terms) {
    const std::lock_guard lock(mutex_);
    if (!ready_.contains(terms.lease_id)) make_ready_locked(terms);
    const int index = ready_.extract(terms.lease_id).mapped();
    const NetworkSpace gate(handle().string());
    const NetworkSpace guest(network_path_of(pid));
    within(gate.number(), [&] { make_line(index, guest.number()); });
    within(guest.number(), [&] { configure_guest(guest_addresses(index)); });
}

void NetworkGate::meter(const TrafficTerms& terms) {
    const std::lock_guard lock(mutex_);
    open_locked();
    const NetworkSpace gate(handle().string());
    const GateTraffic& now = traffic_before(terms, gate.number());
    change_traffic(gate.number(), meter_rules(terms, now), with_meter(terms, now));
}

std::optional<GuestTraffic> NetworkGate::traffic_of(const std::string& lease_id) {
    const std::lock_guard lock(mutex_);
    if (!is_open()) return std::nullopt;
    const NetworkSpace gate(handle().string());
    const GateTraffic& now = read_traffic(gate.number());
    const auto found = now.leases.find(lease_id);
    return found == now.leases.end() ? std::nullopt : std::optional(found->second);
}

void NetworkGate::forget(const std::string& lease_id) {
    const std::lock_guard lock(mutex_);
    ready_.erase(lease_id);
    if (!is_open()) return;
    const NetworkSpace gate(handle().string());
    const GateTraffic& now = known_traffic(gate.number());
    change_traffic(gate.number(), forget_rules(lease_id, now), without_lease(lease_id, now));
}

void NetworkGate::close() {
    const std::lock_guard lock(mutex_);
    ready_.clear();
    while (::umount2(handle().c_str(), MNT_DETACH) == 0) {
    }
    std::error_code ignored;
    fs::remove(handle(), ignored);
}

std::string NetworkGate::resolv_conf() const {
    return guest_resolv_conf(options_.policy, read_text("/etc/resolv.conf"));
}

}  // namespace fallow::agent
