// The part of Agent that has the network measured, between two inventories.
#include <algorithm>

#include "agent/agent.hpp"
#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

class ServerPath : public NetworkPath {
  public:
    explicit ServerPath(ServerLink& server) : server_(server) {}
    Moved download(std::int64_t bytes, std::stop_token stop) override {
        return server_.test_download(bytes, std::move(stop));
    }
    Moved upload(std::int64_t bytes, std::stop_token stop) override {
        return server_.test_upload(bytes, std::move(stop));
    }

  private:
    ServerLink& server_;
};

}  // namespace

/// Until the next inventory is due, or this one is not true any more. The nodes of a cluster have networks
/// of their own.
void Agent::rest(ServerLink& server, std::int64_t ms, std::stop_token stop) {
    if (!options_.measures || cluster_) {
        static_cast<void>(wait_for_offers(ms, stop));
        return;
    }
    ServerPath path(server);
    const std::int64_t until = boot_clock_ms() + ms;
    while (!stop.stop_requested()) {
        const std::int64_t left = std::max<std::int64_t>(0, until - boot_clock_ms());
        if (wait_for_offers(std::min(left, network_.due_in_ms()), stop) || boot_clock_ms() >= until) return;
        if (network_.measure_if_due(
                path, [this] { return has_lease(); }, stop))
            return;
    }
}

}  // namespace fallow::agent
