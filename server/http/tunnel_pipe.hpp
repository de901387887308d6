// Two byte streams joined in memory: what one end writes the other takes, and each direction holds a
// bounded number of bytes. It does not look at them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "http/message.hpp"

namespace fallow::http {

/// What an upgrade to a tunnel is asked for and answered by.
inline constexpr std::string_view tunnel_protocol = "fallow-tunnel";

/// Bytes on their way in one direction.
inline constexpr std::size_t tunnel_buffer_bytes_max = 64 * 1024;

/// What has passed through tunnels, by who wrote it.
struct TunnelBytes {
    std::atomic<std::uint64_t> by_first = 0;
    std::atomic<std::uint64_t> by_second = 0;
};

/// As the stream of a reply with status 101 it is what the session joins its connection to.
class TunnelEnd : public ByteStream {
  public:
    /// Closes the tunnel.
    ~TunnelEnd() override;
    TunnelEnd(const TunnelEnd&) = delete;
    TunnelEnd& operator=(const TunnelEnd&) = delete;

    /// Takes as many of the bytes as there is room for, none once the tunnel is closed.
    [[nodiscard]] std::size_t write(std::string_view bytes);
    /// What the other end has written, which can still be had after the tunnel was closed; else nothing.
    [[nodiscard]] std::string take();
    /// A tunnel is not pulled: the session joins it, or cancels it when it cannot.
    void next(std::function<void(std::optional<std::string>)> ready) override { ready(std::nullopt); }
    void cancel() override { close(); }
    /// For both ends and both directions.
    void close();
    [[nodiscard]] bool is_closed() const;
    /// Called after the other end has written, taken or closed, under a lock: once this returns, the
    /// callback before runs neither now nor later. It must not call back.
    void on_change(std::function<void()> wake);

  private:
    struct Pipe;
    TunnelEnd(std::shared_ptr<Pipe> pipe, int side);
    friend std::pair<std::shared_ptr<TunnelEnd>, std::shared_ptr<TunnelEnd>> make_tunnel(
        std::function<void()> on_close, std::shared_ptr<TunnelBytes> bytes);

    const std::shared_ptr<Pipe> pipe_;
    const int side_;
};

/// The end that a reply grants, or nothing.
[[nodiscard]] std::shared_ptr<TunnelEnd> tunnel_of(const Reply& reply);

/// The first end and the second. `on_close` is called once, from any thread, when the tunnel is closed;
/// what passes is added to `bytes`, if there are some.
[[nodiscard]] std::pair<std::shared_ptr<TunnelEnd>, std::shared_ptr<TunnelEnd>> make_tunnel(
    std::function<void()> on_close, std::shared_ptr<TunnelBytes> bytes = nullptr);

}  // namespace fallow::http
