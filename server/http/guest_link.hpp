// A tunnel to a port of a job through which the server itself speaks HTTP, for a request that was let
// through to it. One request uses it at a time, and the same connection's next one may use it again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "http/guest_frames.hpp"
#include "http/message.hpp"
#include "http/tunnel_pipe.hpp"

namespace fallow::http {

/// How long a connection keeps a link for its next request. Most programs close an idle connection after
/// five seconds or more, and a request must not meet the close.
inline constexpr std::int64_t guest_link_idle_ms = 2'000;

/// What the guest is asked.
struct GuestCall {
    std::string head;  ///< whole
    bool is_head = false;
    bool is_websocket = false;
};

/// As the stream of a reply it is what the session relays its request to.
class GuestLink : public ByteStream {
  public:
    /// `owner` names who may use it for what; `place` is kept as long as the link is.
    GuestLink(std::shared_ptr<TunnelEnd> end, std::string owner, std::int64_t port,
              std::shared_ptr<const void> place)
        : end_(std::move(end)), owner_(std::move(owner)), port_(port), place_(std::move(place)) {}

    /// A link is not pulled: the session relays to it, or cancels it when it cannot.
    void next(std::function<void(std::optional<std::string>)> ready) override { ready(std::nullopt); }
    void cancel() override { end_->close(); }

    [[nodiscard]] TunnelEnd& end() { return *end_; }
    [[nodiscard]] GuestFrameReader& frames() { return frames_; }
    [[nodiscard]] const std::string& owner() const { return owner_; }
    [[nodiscard]] std::int64_t port() const { return port_; }
    /// Open still, and nothing has come that nobody asked for.
    [[nodiscard]] bool is_quiet() {
        return !end_->is_closed() && frames_.is_empty() && end_->take().empty();
    }

    GuestCall call;
    bool is_opened = false;  ///< the agent has connected it to the port

  private:
    const std::shared_ptr<TunnelEnd> end_;
    const std::string owner_;
    const std::int64_t port_;
    const std::shared_ptr<const void> place_;
    GuestFrameReader frames_;
};

/// The link that a reply grants, or nothing.
[[nodiscard]] inline std::shared_ptr<GuestLink> guest_of(const Reply& reply) {
    return std::dynamic_pointer_cast<GuestLink>(reply.stream);
}

}  // namespace fallow::http
