// Carries bytes between a connection and one end of a tunnel, both directions beside each other, until
// either is over, nothing has moved for too long, or the server stops.
#pragma once

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "http/connection.hpp"
#include "http/tunnel_pipe.hpp"

namespace fallow::http {

/// Whoever asked for the tunnel sends something every 20 seconds, so that this is a dead connection.
inline constexpr std::int64_t tunnel_idle_ms = 120'000;

class TunnelPump {
  public:
    TunnelPump(std::shared_ptr<Connection> connection, std::shared_ptr<TunnelEnd> end,
               const std::atomic<bool>& is_stopping);

    /// Leaves the tunnel closed and the connection without a transfer under way.
    boost::asio::awaitable<void> run();

    [[nodiscard]] std::size_t bytes_in() const { return bytes_in_; }
    [[nodiscard]] std::size_t bytes_out() const { return bytes_out_; }

  private:
    using Clock = std::chrono::steady_clock;

    bool move();
    void receive();
    void send();

    const std::shared_ptr<Connection> connection_;
    const std::shared_ptr<TunnelEnd> end_;
    const std::atomic<bool>& is_stopping_;
    Clock::time_point moved_at_;
    std::size_t bytes_in_ = 0;
    std::size_t bytes_out_ = 0;
};

}  // namespace fallow::http
