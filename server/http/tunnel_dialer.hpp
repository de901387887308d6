// Opens tunnels to other servers: a request that asks for one goes out on a connection of its own, which
// is then joined to a tunnel here. All of them share one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "http/message.hpp"
#include "http/peer_client.hpp"

namespace fallow::http {

class TunnelDialer {
  public:
    TunnelDialer();
    ~TunnelDialer();
    TunnelDialer(const TunnelDialer&) = delete;
    TunnelDialer& operator=(const TunnelDialer&) = delete;

    /// The peer's reply: 101 with one end of the tunnel, or what it refused with. Nothing when it cannot be
    /// reached. `done` is called once, on the dialer's thread. `on_close` is the tunnel's.
    using Done = std::function<void(std::optional<Reply>)>;
    void dial(PeerSettings peer, Request request, std::function<void()> on_close, Done done);
    /// Cuts every tunnel. Idempotent.
    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::http
