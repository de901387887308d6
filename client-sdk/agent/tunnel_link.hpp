// The agent's side of the server's tunnel routes.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/state.hpp"
#include "fallow/channel.hpp"

namespace fallow::agent {

/// A tunnel that a renter waits for.
struct WantedTunnel {
    std::string tunnel_id;
    std::string lease_id;
};

/// One thread at a time. Throws ServerError and sdk::TransportError.
class TunnelLink {
  public:
    TunnelLink(const StateFolder& state, std::function<std::int64_t()> server_unix_ms);

    [[nodiscard]] std::vector<WantedTunnel> wanted(std::stop_token stop);
    /// Goes out to meet the renter who waits.
    [[nodiscard]] sdk::Upgraded meet(const std::string& tunnel_id, std::stop_token stop);

  private:
    sdk::HttpClientOptions options_;
};

}  // namespace fallow::agent
