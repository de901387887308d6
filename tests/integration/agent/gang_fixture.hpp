// Members of gangs at hosts that are network namespaces: each a guest, with its end of the private network.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/crypto.hpp"
#include "agent/gang_tunnels.hpp"
#include "egress_fixture.hpp"

namespace fallow::agent::testing {

/// As one host's agent has it, with wireguard-go: a test machine's kernel need not know WireGuard.
inline std::shared_ptr<GangTunnels> gang_tunnels(const std::string& endpoint,
                                                 std::vector<Destination> opened = {}) {
    GangOptions options;
    options.endpoint = *parse_gang_endpoint(endpoint);
    options.opened = std::move(opened);
    options.may_be_of_kernel = false;
    return std::make_shared<GangTunnels>(std::move(options));
}

class Member {
  public:
    Member(const Network& host, std::shared_ptr<GangTunnels> tunnels)
        : host_(host), tunnels_(std::move(tunnels)), port_(tunnels_->take_port(lease_)) {}
    ~Member() {
        host_.within([&] { tunnels_->leave(lease_); });
    }
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    [[nodiscard]] GangMember told(std::int64_t rank) const {
        return {rank, keys_.public_key, tunnels_->endpoint_at(port_)};
    }
    void join(const Gang& gang) const {
        host_.within([&] { tunnels_->join(guest.pid(), gang, keys_.private_key, port_); });
    }
    [[nodiscard]] Network network() const { return guest.network(); }
    [[nodiscard]] std::string public_key() const { return keys_.public_key; }
    [[nodiscard]] std::uint16_t port() const { return port_; }

    Nobody guest;

  private:
    static std::string next_lease() {
        static int count = 0;
        return "lease_" + std::to_string(++count);
    }
    const Network& host_;
    const std::string lease_ = next_lease();
    const TunnelKeys keys_ = generate_tunnel_keys();
    const std::shared_ptr<GangTunnels> tunnels_;
    const std::uint16_t port_;
};

inline Gang gang_of(const std::vector<const Member*>& members, std::int64_t rank) {
    Gang gang{rank, std::ssize(members), {}};
    for (const Member* member : members)
        gang.members.push_back(member->told(std::ssize(gang.members)));
    return gang;
}

inline void form(const std::vector<const Member*>& members) {
    for (std::int64_t rank = 0; rank < std::ssize(members); ++rank)
        members[static_cast<std::size_t>(rank)]->join(gang_of(members, rank));
}

/// The two ends have to find each other first, for which wireguard-go takes a second or two.
inline bool reaches_soon(const Network& network, const std::string& address) {
    constexpr int tries_max = 20;
    for (int tries = 0; tries < tries_max; ++tries)
        if (network.reaches(address)) return true;
    return false;
}

}  // namespace fallow::agent::testing
