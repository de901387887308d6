// Tunnels from a renter's program to the agent that runs its job. The renter waits at one server; the
// host's agent learns of it from its desired state and comes outwards, to this server or to another one,
// which joins it to the first. From then on bytes pass through unread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "http/tunnel_dialer.hpp"
#include "http/tunnel_pipe.hpp"

namespace fallow::api {

struct TunnelIdTag {
    static constexpr std::string_view prefix = "tunnel";
};
using TunnelId = Id<TunnelIdTag>;

inline constexpr int tunnels_per_organization_max = 64;  ///< that wait or are open, at one server
inline constexpr int tunnels_per_server_max = 512;
inline constexpr Millis tunnel_wait = seconds(15);  ///< for the agent
/// How often it is looked whether the lease and the key of an open tunnel still hold.
inline constexpr Millis tunnel_check = seconds(5);

/// The tunnels of one server whose renters wait here, and how many it carries.
class TunnelDesk {
  public:
    /// Given the renter's end once the agent has come, else the reason why it has not.
    using Met = std::function<void(Result<std::shared_ptr<http::TunnelEnd>>)>;

    /// `address`: "host:port", where other servers reach this one.
    explicit TunnelDesk(std::function<std::string()> address) : address_(std::move(address)) {}

    [[nodiscard]] std::string address() const { return address_(); }
    /// False when the server or the organization has as many as it may; then `met` is not kept.
    [[nodiscard]] bool expect(TunnelId tunnel, HostId host, OrganizationId organization, Met met);
    /// The agent of `host` has come: its end, once, if a renter waits here.
    [[nodiscard]] std::shared_ptr<http::TunnelEnd> meet(TunnelId tunnel, HostId host);
    /// Ends a wait, if there still is one.
    void refuse_waiting(TunnelId tunnel, const Error& error);

    /// Tunnels that wait or are open here.
    [[nodiscard]] int count() const;
    /// What has passed through them: written by renters first, by hosts second.
    [[nodiscard]] const http::TunnelBytes& bytes() const { return *bytes_; }
    [[nodiscard]] http::TunnelDialer& dialer() { return dialer_; }
    /// Refuses who waits, ends what was dialled. Tunnels of the server's own connections end with those.
    void stop();

  private:
    struct Waiting {
        HostId host;
        OrganizationId organization;
        Met met;
    };
    void leave(OrganizationId organization);

    const std::function<std::string()> address_;
    mutable std::mutex mutex_;
    std::unordered_map<TunnelId, Waiting> waiting_;
    std::unordered_map<OrganizationId, int> per_organization_;
    int count_ = 0;
    const std::shared_ptr<http::TunnelBytes> bytes_ = std::make_shared<http::TunnelBytes>();
    http::TunnelDialer dialer_;
};

}  // namespace fallow::api
