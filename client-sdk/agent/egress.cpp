#include "agent/egress.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fallow::agent {
namespace {

// IANA's registries of special-purpose addresses. What no policy opens comes first.
constexpr std::array never_ipv4 = {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "198.18.0.0/15",
                                   "224.0.0.0/3"};
constexpr std::array never_ipv6 = {"::/8", "fe80::/10", "fec0::/10", "ff00::/8", "fd66:6c77::/32"};
constexpr std::array private_ipv4 = {"10.0.0.0/8",     "100.64.0.0/10",   "172.16.0.0/12",
                                     "192.0.0.0/24",   "192.0.2.0/24",    "192.88.99.0/24",
                                     "192.168.0.0/16", "198.51.100.0/24", "203.0.113.0/24"};
// Of IPv6 only 2000::/3 is public, less what leads elsewhere: Teredo, 6to4, and what documents use.
constexpr std::array private_ipv6 = {"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"};
constexpr const char* public_ipv6 = "2000::/3";
constexpr std::array fallback_resolvers = {"9.9.9.9", "1.1.1.1", "2620:fe::fe"};
constexpr std::size_t resolvers_max = 3;  // more the C library does not read
constexpr const char* refuse = "reject with icmpx admin-prohibited\n";

template <class Number>
bool parse_number(std::string_view text, Number max, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && number <= max;
}

bool same_bits(const Destination& a, const Destination& b, int bits) {
    const auto whole = static_cast<std::ptrdiff_t>(bits / 8);
    if (!std::equal(a.address.begin(), a.address.begin() + whole, b.address.begin())) return false;
    if (bits % 8 == 0) return true;
    const auto at = static_cast<std::size_t>(whole);
    const int mask = 0xff00 >> (bits % 8);
    return ((a.address[at] ^ b.address[at]) & mask & 0xff) == 0;
}

bool overlap(const Destination& a, const Destination& b) {
    return a.is_ipv6 == b.is_ipv6 && same_bits(a, b, std::min(a.prefix, b.prefix));
}

template <class List>
bool overlaps_any(const Destination& destination, const List& networks) {
    return std::ranges::any_of(
        networks, [&](const char* network) { return overlap(destination, *parse_destination(network)); });
}

std::string network_of(const Destination& destination) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(destination.is_ipv6 ? AF_INET6 : AF_INET, destination.address.data(), text.data(),
                text.size());
    return fmt::format("{}/{}", text.data(), destination.prefix);
}

std::string match(const Destination& to) {
    std::string rule = fmt::format("{} daddr {} ", to.is_ipv6 ? "ip6" : "ip", network_of(to));
    if (to.port != 0) rule += fmt::format("meta l4proto {{ tcp, udp }} th dport {} ", to.port);
    return rule;
}

template <class List>
std::string refuse_all(std::string_view family, const List& networks) {
    return fmt::format("{} daddr {{ {} }} {}", family, fmt::join(networks, ", "), refuse);
}

std::string refuse_hosts(const std::vector<std::string>& addresses) {
    std::string rules;
    for (const std::string& address : addresses)
        if (const auto one = parse_destination(address)) rules += match(*one) + refuse;
    return rules;
}

LinkAddresses link_addresses(int ipv4_second_octet, int ipv6_part, int index) {
    const int third = index / 64;
    const int fourth = index % 64 * 4;
    const auto ipv4 = [&](int which) {
        return fmt::format("198.{}.{}.{}", ipv4_second_octet, third, fourth + which);
    };
    const auto ipv6 = [&](int which) {
        return fmt::format("fd66:6c77:{}:{:x}::{}", ipv6_part, index, which);
    };
    return {ipv4(1), ipv4(2), ipv6(1), ipv6(2)};
}

}  // namespace

std::optional<Destination> parse_destination(std::string_view text) {
    Destination found;
    const auto colons = std::ranges::count(text, ':');
    std::string_view port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == text.npos) return std::nullopt;
        const std::string_view rest = text.substr(end + 1);
        if (!rest.empty() && !rest.starts_with(':')) return std::nullopt;
        port = rest.empty() ? rest : rest.substr(1);
        if (!rest.empty() && port.empty()) return std::nullopt;
        text = text.substr(1, end - 1);
        found.is_ipv6 = true;
    } else if (colons == 1) {
        port = text.substr(text.find(':') + 1);
        text = text.substr(0, text.find(':'));
        if (port.empty()) return std::nullopt;
    } else {
        found.is_ipv6 = colons > 1;
    }
    constexpr std::uint16_t port_max = 65'535;
    if (!port.empty() && (!parse_number(port, port_max, found.port) || found.port == 0))
        return std::nullopt;
    const int bits = found.is_ipv6 ? 128 : 32;
    found.prefix = bits;
    if (const auto slash = text.find('/'); slash != text.npos) {
        if (!parse_number(text.substr(slash + 1), bits, found.prefix) || found.prefix < 0)
            return std::nullopt;
        text = text.substr(0, slash);
    }
    if (::inet_pton(found.is_ipv6 ? AF_INET6 : AF_INET, std::string(text).c_str(), found.address.data()) !=
        1)
        return std::nullopt;
    return found;
}

std::string text_of(const Destination& destination) {
    const std::string network = network_of(destination);
    if (destination.port == 0) return network;
    return destination.is_ipv6 ? fmt::format("[{}]:{}", network, destination.port)
                               : fmt::format("{}:{}", network, destination.port);
}

bool is_closed_for_good(const Destination& destination) {
    return destination.is_ipv6 ? overlaps_any(destination, never_ipv6)
                               : overlaps_any(destination, never_ipv4);
}

bool is_public(const Destination& one) {
    if (is_closed_for_good(one)) return false;
    return one.is_ipv6 ? overlap(one, *parse_destination(public_ipv6)) && !overlaps_any(one, private_ipv6)
                       : !overlaps_any(one, private_ipv4);
}

bool lies_within(const Destination& one, const Destination& network) {
    return one.is_ipv6 == network.is_ipv6 && one.prefix >= network.prefix &&
           same_bits(one, network, network.prefix) && (network.port == 0 || network.port == one.port);
}

std::string guest_resolv_conf(const EgressPolicy& policy, std::string_view host_resolv_conf) {
    std::vector<std::string> resolvers = policy.dns;
    if (resolvers.empty()) {
        constexpr std::string_view word = "nameserver ";
        while (!host_resolv_conf.empty()) {
            const auto end = std::min(host_resolv_conf.find('\n'), host_resolv_conf.size());
            const std::string_view line = host_resolv_conf.substr(0, end);
            host_resolv_conf.remove_prefix(std::min(end + 1, host_resolv_conf.size()));
            if (!line.starts_with(word)) continue;
            const std::string_view address = line.substr(word.size());
            const auto one = parse_destination(address);
            if (one && is_public(*one)) resolvers.emplace_back(address);
        }
    }
    if (resolvers.empty()) resolvers.assign(fallback_resolvers.begin(), fallback_resolvers.end());
    resolvers.resize(std::min(resolvers.size(), resolvers_max));
    std::string text;
    for (const std::string& address : resolvers)
        text += fmt::format("nameserver {}\n", address);
    return text + "options timeout:2\n";
}

LinkAddresses uplink_addresses(int index) {
    return link_addresses(18, 0, index);
}
LinkAddresses guest_addresses(int index) {
    return link_addresses(19, 1, index);
}

std::string gate_rules(const EgressPolicy& policy, const std::vector<std::string>& host_addresses) {
    std::string leaving =
        refuse_all("ip", never_ipv4) + refuse_all("ip6", never_ipv6) + refuse_hosts(host_addresses);
    for (const Destination& to : policy.deny)
        leaving += match(to) + refuse;
    for (const Destination& to : policy.allow)
        leaving += match(to) + "accept\n";
    leaving += refuse_all("ip", private_ipv4) + refuse_all("ip6", private_ipv6) +
               fmt::format("ip6 daddr != {} {}accept\n", public_ipv6, refuse);
    return fmt::format(R"(table inet gate
delete table inet gate
table inet gate {{
chain input {{
type filter hook input priority 0; policy drop;
ct state established,related accept
icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
}}
chain forward {{
type filter hook forward priority 0; policy drop;
ct state established,related accept
iifname "{0}" drop
ip saddr != 198.19.0.0/18 drop
ip6 saddr != fd66:6c77:1::/48 drop
oifname "{0}" jump leaving
{1}}}
chain leaving {{
{2}}}
chain translate {{
type nat hook postrouting priority 100;
oifname "{0}" masquerade
}}
}}
)",
                       gate_uplink, refuse, leaving);
}

std::string host_rules(const ClosedFamilies& closed) {
    std::string guards;
    for (const auto& [is_closed, family] : {std::pair{closed.ipv4, "ipv4"}, std::pair{closed.ipv6, "ipv6"}})
        if (is_closed)
            guards += fmt::format("meta nfproto {0} iifname != \"{1}*\" oifname != \"{1}*\" drop\n", family,
                                  host_uplink_prefix);
    return fmt::format(R"(table inet fallow_gates
delete table inet fallow_gates
table inet fallow_gates {{
chain input {{
type filter hook input priority -10; policy accept;
iifname "{0}*" icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
iifname "{0}*" drop
}}
chain forward {{
type filter hook forward priority -10; policy accept;
{1}oifname "{0}*" ct state established,related accept
oifname "{0}*" drop
}}
chain translate {{
type nat hook postrouting priority 100;
ip saddr 198.18.0.0/16 oifname != "{0}*" masquerade
ip6 saddr fd66:6c77:0::/48 oifname != "{0}*" masquerade
}}
}}
)",
                       host_uplink_prefix, guards);
}

}  // namespace fallow::agent
