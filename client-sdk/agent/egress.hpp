// What a guest's packets may reach, as a value, and the rules for nft that say so. Pure: network_gate.hpp
// puts them in force.
//
// Whatever the owner says, a guest reaches neither this host, nor another guest, nor anything that is link
// local (cloud metadata at 169.254.169.254), loopback or multicast. Private networks are closed unless the
// owner's policy opens them, the public internet is open unless it closes it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

/// "10.1.0.0/16", "10.1.2.3:443", "fd00::/8", "[fd00::5]:443", "[fd00::/8]:443"
struct Destination {
    bool is_ipv6 = false;
    std::array<std::uint8_t, 16> address{};  ///< the first four octets of an IPv4 one
    int prefix = 0;
    std::uint16_t port = 0;  ///< of TCP and UDP; 0: everything
    friend bool operator==(const Destination&, const Destination&) = default;
};
[[nodiscard]] std::optional<Destination> parse_destination(std::string_view text);
[[nodiscard]] std::string text_of(const Destination& destination);

/// Whether nothing that a policy says opens part of it.
[[nodiscard]] bool is_closed_for_good(const Destination& destination);

/// Of the internet that everybody reaches.
[[nodiscard]] bool is_public(const Destination& one);
/// Whether all of it is part of the other.
[[nodiscard]] bool lies_within(const Destination& one, const Destination& network);

struct EgressPolicy {
    bool has_network = true;         ///< false: a guest has its loopback and nothing else
    std::vector<Destination> allow;  ///< beside the public internet
    std::vector<Destination> deny;   ///< comes before it
    std::vector<std::string> dns;    ///< addresses of resolvers; none: this host's public ones
    friend bool operator==(const EgressPolicy&, const EgressPolicy&) = default;
};

/// What the file /etc/resolv.conf of a guest says: the policy's resolvers, else those of the host's own
/// file that are public, else two that are for everybody.
[[nodiscard]] std::string guest_resolv_conf(const EgressPolicy& policy, std::string_view host_resolv_conf);

// Names and addresses. A gate is a network namespace between all guests and the host: guests are behind it
// at interfaces named g0, g1, …, and it has one line to the host.
inline constexpr std::string_view gate_uplink = "uplink";
inline constexpr std::string_view host_uplink_prefix = "fwup";
inline constexpr int uplinks_max = 1024;
inline constexpr int guests_max = 4096;  ///< so that their addresses are of 198.19.0.0/18

/// A link of two addresses in 198.18.0.0/15 (RFC 2544: neither public nor anybody's own network) and in
/// fd66:6c77::/32.
struct LinkAddresses {
    std::string near_ipv4;
    std::string far_ipv4;
    std::string near_ipv6;
    std::string far_ipv6;
};
/// Near is the host, far the gate.
[[nodiscard]] LinkAddresses uplink_addresses(int index);
/// Near is the gate, far the guest.
[[nodiscard]] LinkAddresses guest_addresses(int index);

/// In the gate: the policy, no way from guest to guest, and none in. `host_addresses` are this host's own,
/// which are closed here as well as at the host.
[[nodiscard]] std::string gate_rules(const EgressPolicy& policy,
                                     const std::vector<std::string>& host_addresses);

/// The families that this host did not forward before a gate needed it: it goes on being no router for
/// anybody else.
struct ClosedFamilies {
    bool ipv4 = false;
    bool ipv6 = false;
};
/// At the host, the same for every gate: nothing for the host itself, nothing new towards a gate.
[[nodiscard]] std::string host_rules(const ClosedFamilies& closed);

}  // namespace fallow::agent
