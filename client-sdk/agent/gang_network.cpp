#include "agent/gang_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fallow::agent {
namespace {

constexpr int ports_max = 64;
constexpr int tunnel_mtu = 1420;  // 1500 less IPv6, UDP and WireGuard
constexpr int keepalive_s = 25;   // also what makes the later of two ends speak first
constexpr const char* gang_prefix_address = "198.19.255.0";

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool is_one = error == std::errc() && end == text.data() + text.size() && port != 0;
    return is_one ? std::optional(port) : std::nullopt;
}

}  // namespace

std::string gang_address(std::int64_t rank) {
    return fmt::format("198.19.255.{}", rank + 1);
}

std::string gang_name(std::int64_t rank) {
    return fmt::format("rank-{}", rank);
}

std::string gang_hosts_file(const Gang& gang) {
    std::string text = "127.0.0.1 localhost\n::1 localhost\n";
    for (std::int64_t rank = 0; rank < gang.hosts; ++rank)
        text +=
            fmt::format("{} {}{}\n", gang_address(rank), gang_name(rank), rank == gang.rank ? " job" : "");
    return text;
}

std::map<std::string, std::string> gang_environment(const Gang& gang) {
    std::string peers;
    for (std::int64_t rank = 0; rank < gang.hosts; ++rank)
        peers += (rank == 0 ? "" : ",") + gang_name(rank);
    const std::string line(gang_interface);
    return {{"FALLOW_PEERS", peers},
            {"MASTER_ADDR", gang_name(0)},
            {"MASTER_PORT", std::to_string(gang_master_port)},
            {"NCCL_SOCKET_IFNAME", line},
            {"GLOO_SOCKET_IFNAME", line}};
}

std::optional<GangEndpoint> parse_gang_endpoint(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    const std::string_view ports = text.substr(colon + 1);
    std::string_view address = text.substr(0, colon);
    const bool is_ipv6 = address.starts_with('[') && address.ends_with(']');
    if (is_ipv6) address = address.substr(1, address.size() - 2);
    const auto parsed = parse_destination(address);
    const bool is_one = parsed && parsed->is_ipv6 == is_ipv6 && parsed->port == 0 &&
                        address.find('/') == address.npos && !address.starts_with('[');
    const auto dash = ports.find('-');
    const auto first = parse_port(ports.substr(0, dash));
    const auto last = dash == ports.npos ? first : parse_port(ports.substr(dash + 1));
    if (!is_one || !first || !last || *last < *first || *last - *first >= ports_max) return std::nullopt;
    return GangEndpoint{std::string(address), *first, *last};
}

std::string text_of(const GangEndpoint& endpoint, std::uint16_t port) {
    const bool is_ipv6 = endpoint.address.find(':') != endpoint.address.npos;
    return is_ipv6 ? fmt::format("[{}]:{}", endpoint.address, port)
                   : fmt::format("{}:{}", endpoint.address, port);
}

std::optional<GangMember> closed_member(const Gang& gang, const std::vector<Destination>& opened) {
    const auto is_open = [&](const GangMember& member) {
        const auto to = parse_destination(member.endpoint);
        if (!to || to->port == 0 || is_closed_for_good(*to)) return false;
        return is_public(*to) || std::ranges::any_of(opened, [&](const Destination& network) {
                   return lies_within(*to, network);
               });
    };
    for (const GangMember& member : gang.members)
        if (member.rank != gang.rank && !is_open(member)) return member;
    return std::nullopt;
}

bool is_tunnel_key(std::string_view text) {
    constexpr std::size_t digits = 43;
    const auto is_digit = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
               c == '/';
    };
    return text.size() == digits + 1 && text.back() == '=' &&
           std::ranges::all_of(text.substr(0, digits), is_digit);
}

std::string wireguard_config(const Gang& gang, const std::string& private_key, std::uint16_t port) {
    std::string text = fmt::format("[Interface]\nPrivateKey = {}\nListenPort = {}\n", private_key, port);
    for (const GangMember& member : gang.members)
        if (member.rank != gang.rank)
            text += fmt::format(
                "[Peer]\nPublicKey = {}\nEndpoint = {}\nAllowedIPs = {}/32\nPersistentKeepalive = {}\n",
                member.public_key, member.endpoint, gang_address(member.rank), keepalive_s);
    return text;
}

std::string gang_guest_commands(std::int64_t rank) {
    return fmt::format("addr replace {0}/{1} dev {2}\nlink set dev {2} mtu {3} up\n", gang_address(rank),
                       gang_prefix, gang_interface, tunnel_mtu);
}

std::string gang_guest_rules(std::int64_t rank) {
    return fmt::format(R"(table inet gang
delete table inet gang
table inet gang {{
chain input {{
type filter hook input priority 0; policy accept;
iifname "{0}" ip saddr {1}/{2} ip daddr {3} accept
iifname "{0}" drop
}}
chain forward {{
type filter hook forward priority 0; policy drop;
}}
}}
)",
                       gang_interface, gang_prefix_address, gang_prefix, gang_address(rank));
}

}  // namespace fallow::agent
