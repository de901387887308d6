#include "agent/tunnel_link.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "agent/server_link.hpp"
#include "fallow/errors.hpp"
#include "fallow/tunnel.hpp"
#include "fallow/url.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t call_timeout_ms = 10'000;
constexpr const char* path = "/v1/agent/tunnels";

[[noreturn]] void refuse(const sdk::HttpResponse& response) {
    const sdk::Problem problem = sdk::problem_of(response);
    throw ServerError(response.status, problem.code, problem.detail);
}

}  // namespace

TunnelLink::TunnelLink(const StateFolder& state, std::function<std::int64_t()> server_unix_ms) {
    options_.base_url = state.identity().url;
    options_.ca_file = state.ca_file().string();
    options_.user_agent = "fallow-agent/" + std::string(agent_version);
    options_.unix_seconds = [now = std::move(server_unix_ms)] { return now() / 1000; };
    options_.client_certificate_file = state.certificate_file().string();
    options_.client_key_file = state.tls_key_file().string();
}

std::vector<WantedTunnel> TunnelLink::wanted(std::stop_token stop) {
    sdk::HttpRequest request;
    request.path = path;
    request.timeout_ms = call_timeout_ms;
    request.stop = std::move(stop);
    // A connection of its own: the certificate may have been renewed since the last one.
    const sdk::HttpResponse response = sdk::HttpClient(options_).send(request);
    if (!response.ok()) refuse(response);
    std::vector<WantedTunnel> found;
    try {
        // Kept for as long as its items are read.
        const json reply = json::parse(response.body);
        for (const json& item : reply.at("items"))
            found.push_back(
                {item.at("tunnel_id").get<std::string>(), item.at("lease_id").get<std::string>()});
    } catch (const json::exception& error) {
        throw ServerError(502, "bad_reply", error.what());
    }
    return found;
}

sdk::Upgraded TunnelLink::meet(const std::string& tunnel_id, std::stop_token stop) {
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = std::string(path) + "/" + sdk::percent_encode(tunnel_id);
    request.timeout_ms = call_timeout_ms;
    request.stop = std::move(stop);
    sdk::Upgraded upgraded = sdk::upgrade(options_, request, sdk::tunnel_protocol);
    if (!upgraded.channel) refuse(upgraded.response);
    return upgraded;
}

}  // namespace fallow::agent
