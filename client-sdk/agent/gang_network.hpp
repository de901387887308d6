// The private network of a gang, as values: who has which address, what a guest finds of it, and what `wg`,
// `ip` and `nft` are told. Pure: gang_tunnels.hpp makes it.
//
//   guest of rank 0: gang0 198.19.255.1 == WireGuard, host to host == 198.19.255.2 gang0 :rank 1
//
// Addresses are the same in every gang: a guest is in one at most, its network namespace holds nothing but
// its own lines, and an end takes packets of no key but its peers'. They lie in what the gate never lets
// out, so that nothing of a gang leaves by the other line when its tunnel is down.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/egress.hpp"
#include "agent/lease.hpp"

namespace fallow::agent {

inline constexpr std::string_view gang_interface = "gang0";
inline constexpr int gang_prefix = 27;  ///< room for 16 ranks
inline constexpr int gang_master_port = 29'500;

[[nodiscard]] std::string gang_address(std::int64_t rank);
/// "rank-0"
[[nodiscard]] std::string gang_name(std::int64_t rank);

/// The text of a guest's /etc/hosts, `job` being its own name.
[[nodiscard]] std::string gang_hosts_file(const Gang& gang);
/// Variables of a guest that the job has not set itself. MASTER_ADDR and MASTER_PORT are what PyTorch
/// reads.
[[nodiscard]] std::map<std::string, std::string> gang_environment(const Gang& gang);

/// Where other hosts reach this one: an address and UDP ports, one for each lease at a time.
struct GangEndpoint {
    std::string address;  ///< in figures; IPv6 without brackets
    std::uint16_t first_port = 0;
    std::uint16_t last_port = 0;
    friend bool operator==(const GangEndpoint&, const GangEndpoint&) = default;
};
/// "198.41.0.4:51820", "198.41.0.4:51820-51827", "[2001:db8::4]:51820-51827"; 64 ports at most.
[[nodiscard]] std::optional<GangEndpoint> parse_gang_endpoint(std::string_view text);
[[nodiscard]] std::string text_of(const GangEndpoint& endpoint, std::uint16_t port);

/// The first other member whose host this one sends nothing to: its endpoint is neither public nor within
/// one of `opened`, which open nothing of what is closed for good.
[[nodiscard]] std::optional<GangMember> closed_member(const Gang& gang,
                                                      const std::vector<Destination>& opened);

/// 32 octets in base64: it becomes part of a text for `wg`.
[[nodiscard]] bool is_tunnel_key(std::string_view text);

/// What `wg setconf` reads of this member's end. Each peer may send from its own address alone.
[[nodiscard]] std::string wireguard_config(const Gang& gang, const std::string& private_key,
                                           std::uint16_t port);
/// For `ip -batch` in the guest's network namespace.
[[nodiscard]] std::string gang_guest_commands(std::int64_t rank);
/// For `nft` there: nothing comes in by the gang's line that is not from it and for this guest, and nothing
/// goes through, from one line to the other.
[[nodiscard]] std::string gang_guest_rules(std::int64_t rank);

}  // namespace fallow::agent
