// What anybody may ask: whether the server lives and is ready, its metrics, its contract, its public key.
#include "api/json_writer.hpp"
#include "api/reply.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/tunnels.hpp"
#include "auth/base64.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

Result<http::Reply> livez(const Call&) {
    return json_reply(R"({"status":"ok"})");
}

Result<http::Reply> readyz(const Call& call) {
    if (call.services.stopping.load())
        return refuse(ErrorCode::draining, "The server is stopping; ask another replica.");
    if (!call.services.is_ready())
        return refuse(ErrorCode::not_leader,
                      "The market has no leader that the database confirms at the moment.");
    return json_reply(R"({"status":"ready"})");
}

Result<http::Reply> metrics(const Call& call) {
    ops::Metrics& metrics = call.services.metrics;
    const engine::EngineStats stats = call.services.engine.stats();
    metrics.set_engine_queue_depth(stats.queue_depth);
    metrics.set_leases_active(stats.active_leases);
    metrics.set_orders_standing(stats.standing_orders);
    const http::TunnelBytes& bytes = call.services.tunnels.bytes();
    metrics.set_tunnels(static_cast<std::size_t>(call.services.tunnels.count()), bytes.by_first.load(),
                        bytes.by_second.load());
    metrics.set_leader(call.services.engine.ready());
    http::Reply reply = json_reply(metrics.text());
    reply.content_type = ops::metrics_content_type;
    return reply;
}

Result<http::Reply> openapi(const Call& call) {
    return json_reply(call.services.openapi_json);
}

Result<http::Reply> server(const Call& call) {
    const Services& services = call.services;
    JsonWriter json;
    json.begin_object()
        .field("version", services.version)
        .field("server_key", auth::base64_encode(services.signing_key.public_key()))
        .field("market", services.config.market)
        .field("time", services.now())
        .end_object();
    return json_reply(json.take());
}

}  // namespace

void add_public_routes(std::vector<Route>& routes) {
    const auto open = Access::open();
    routes.push_back({get, "/livez", open, no_body, not_keyed, DirectHandler{livez}});
    routes.push_back({get, "/readyz", open, no_body, not_keyed, DirectHandler{readyz}});
    routes.push_back({get, "/metrics", open, no_body, not_keyed, DirectHandler{metrics}});
    routes.push_back({get, "/openapi.json", open, no_body, not_keyed, DirectHandler{openapi}});
    routes.push_back({get, "/v1/server", open, no_body, not_keyed, DirectHandler{server}});
}

}  // namespace fallow::api
