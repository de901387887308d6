// The renter's end of a tunnel.
#include "fallow/errors.hpp"
#include "fallow/tunnel.hpp"
#include "routes.hpp"

namespace fallow::sdk {
namespace {

constexpr std::int64_t upgrade_timeout_ms = 30'000;  // the server waits 15 s for the agent
constexpr std::int64_t opened_timeout_ms = 45'000;   // the agent, 30 s for its engine

}  // namespace

FrameLink open_tunnel(const HttpClientOptions& server, std::string_view job_id,
                      const TunnelRequest& request) {
    HttpRequest http;
    http.method = "POST";
    http.path = route("/v1/jobs/{}/tunnels", job_id);
    http.timeout_ms = upgrade_timeout_ms;
    Upgraded upgraded = upgrade(server, http, tunnel_protocol);
    if (!upgraded.channel) throw ApiError(problem_of(upgraded.response));
    FrameLink link(std::move(upgraded));
    link.send(FrameKind::open, to_json(request));
    const auto answer = link.await(opened_timeout_ms);
    if (!answer) throw TunnelRefused("the job's host ended the tunnel without an answer");
    if (answer->kind == FrameKind::refused) throw TunnelRefused(answer->payload);
    if (answer->kind != FrameKind::opened) throw ProtocolError("the tunnel begins with another frame");
    return link;
}

}  // namespace fallow::sdk
