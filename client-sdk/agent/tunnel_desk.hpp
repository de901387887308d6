// Tunnels into this host's containers: each that the desired state names is met once, on a thread of its
// own. Nothing here can start, stop or change a lease.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/lease.hpp"
#include "agent/state.hpp"
#include "agent/tunnel_link.hpp"

namespace fallow::agent {

struct TunnelContext {
    const StateFolder& state;
    std::string engine_socket;  ///< empty: the guests are in engines of other machines
    std::string runtime;        ///< which runs the guests
    std::function<std::int64_t()> server_unix_ms;
    /// What this host has of a lease now.
    std::function<std::optional<LeaseRecord>(const std::string& lease_id)> find;
};

/// Meets the renter and serves it until either has had enough. Throws nothing.
void serve_tunnel(const TunnelContext& context, const WantedTunnel& wanted, const std::stop_token& stop);

class TunnelDesk {
  public:
    explicit TunnelDesk(TunnelContext context) : context_(std::move(context)) {}

    /// Asks the server who waits, and meets those that are new; from one thread.
    void look(const std::stop_token& stop);

  private:
    void meet(const WantedTunnel& tunnel);

    struct Served {
        std::shared_ptr<std::atomic<bool>> is_over;
        std::jthread thread;
    };

    const TunnelContext context_;
    std::set<std::string> seen_;
    std::deque<std::string> seen_in_order_;
    std::list<Served> served_;
};

}  // namespace fallow::agent
