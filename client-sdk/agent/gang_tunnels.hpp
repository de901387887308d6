// The ends of gangs' private networks at this host: a WireGuard interface for each lease, whose socket
// stays in the agent's network namespace, at a port of its own, and which itself is moved into the guest's.
// The kernel makes it where it can, else wireguard-go, which then is a process for each lease.
//
// An end goes with its guest's network namespace. What it made stays when the agent ends, as containers do.
// It needs to be root, `ip`, `nft` and `wg`.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "agent/egress.hpp"
#include "agent/gang_network.hpp"

namespace fallow::agent {

struct GangOptions {
    GangEndpoint endpoint;
    std::vector<Destination> opened = {};  ///< private networks in which other hosts may be
    bool may_be_of_kernel = true;          ///< false: by wireguard-go in any case
    std::string ip_program = "/sbin/ip";
    std::string nft_program = "/usr/sbin/nft";
    std::string wg_program = "/usr/bin/wg";
    std::string wireguard_go_program = "/usr/bin/wireguard-go";
};

/// Any thread. Everything throws std::runtime_error, with what to do.
class GangTunnels {
  public:
    explicit GangTunnels(GangOptions options) : options_(std::move(options)) {}

    /// Makes an interface and takes it away again: afterwards it is known how, and that it works here.
    void check();
    [[nodiscard]] bool is_of_kernel() const { return is_of_kernel_; }

    /// One that no other lease has, the same for the lease each time. Throws when all are taken.
    [[nodiscard]] std::uint16_t take_port(const std::string& lease_id);
    /// Of a lease that was found on disk.
    void keep_port(const std::string& lease_id, std::uint16_t port);
    [[nodiscard]] std::string endpoint_at(std::uint16_t port) const {
        return text_of(options_.endpoint, port);
    }

    /// Gives the network namespace of process `pid` the lease's end, once; a repetition finishes what a
    /// first one began.
    void join(std::int64_t pid, const Gang& gang, const std::string& private_key, std::uint16_t port);
    /// Its guest has ended: the port is free again, when nothing listens there any more.
    void leave(const std::string& lease_id);

  private:
    void make(const std::string& name) const;
    void clear(const std::string& name) const;
    void end_processes(const std::string& name) const;

    const GangOptions options_;
    bool is_of_kernel_ = false;
    std::mutex mutex_;
    std::map<std::string, std::uint16_t> ports_;  ///< by lease
};

}  // namespace fallow::agent
