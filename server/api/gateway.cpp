#include "api/gateway.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "api/command_run.hpp"
#include "api/forwarded.hpp"
#include "api/job_run.hpp"
#include "api/network_tests.hpp"
#include "api/reply.hpp"
#include "api/routes.hpp"
#include "http/problem.hpp"

namespace fallow::api {
namespace {

Status check_media_type(const http::Request& request, const Body& body) {
    const std::string* type = request.header("content-type");
    const std::string_view wanted =
        body.type == Body::Type::json ? "application/json" : "application/octet-stream";
    const bool has_body = !request.body.empty() || body.type == Body::Type::dropped;
    if (!has_body || body.type == Body::Type::none) return Done{};
    if (type != nullptr && std::string_view(*type).substr(0, type->find(';')) == wanted) return Done{};
    return refuse(ErrorCode::unsupported_media_type, fmt::format("Send the body as {}.", wanted),
                  "header:Content-Type");
}

Status check_idempotency_key(const http::Request& request, const Route& route) {
    if (!route.needs_idempotency_key) return Done{};
    const std::string* key = request.header("idempotency-key");
    if (key == nullptr)
        return refuse(ErrorCode::idempotency_key_missing,
                      "Send an Idempotency-Key, new for each thing you want done, the same for a repeat.",
                      "header:Idempotency-Key");
    const auto is_printable = [](char c) { return c >= 0x20 && c < 0x7f; };
    if (key->empty() || key->size() > limits::idempotency_key_bytes_max ||
        !std::all_of(key->begin(), key->end(), is_printable))
        return refuse(
            ErrorCode::invalid_field,
            fmt::format("Give 1 to {} printable ASCII characters.", limits::idempotency_key_bytes_max),
            "header:Idempotency-Key");
    return Done{};
}

/// A frozen organization reads, and may still revoke its keys; the market refuses its commands by itself.
Status check_frozen(const Exchange& exchange) {
    const bool writes =
        exchange.request.method == http::Method::post || exchange.request.method == http::Method::put;
    if (!exchange.is_frozen || !writes || !std::holds_alternative<JobHandler>(exchange.route->handler) ||
        exchange.route->access.kind() == Access::Kind::agent)
        return Done{};
    return refuse(ErrorCode::frozen, "The organization is frozen by the operator; ask the operator why.");
}

Status check_request(const Exchange& exchange) {
    if (const Status good = check_access(exchange.route->access, exchange.actor); !good) return good;
    if (const Status good = check_media_type(exchange.request, exchange.route->body); !good) return good;
    if (const Status good = check_idempotency_key(exchange.request, *exchange.route); !good) return good;
    return check_frozen(exchange);
}

}  // namespace

Gateway::Gateway(Services& services, const IdentityWatch* watch)
    : services_(services),
      authenticator_(services.workers, services.log, services.now, watch),
      apps_(services, authenticator_),
      routes_(make_routes()) {
    for (const Route& route : routes_)
        static_cast<void>(router_.add(route.method, route.pattern));
}

Result<http::RouteMatch> Gateway::match(const http::Request& request) const {
    return router_.match(request.method, request.path);
}

Result<http::BodyLimit> Gateway::on_head(const http::Request& head) {
    if (apps_.is_for_app(head)) return apps_.on_head();
    const auto found = match(head);
    if (!found) return http::BodyLimit{0};  // handle() answers, with Allow where the method is wrong
    const Route& route = routes_[found->index];
    if (services_.draining.load() && route.access.kind() != Access::Kind::open &&
        !is_served_while_draining(head))
        return refuse(ErrorCode::draining, "The server is stopping; try again in a moment.");
    // What a forwarded request was sent with is looked at in handle(). None has a body to drop.
    const bool is_dropped = route.body.type == Body::Type::dropped;
    if (is_from_replica(head)) return http::BodyLimit{is_dropped ? 0 : route.body.bytes_max};
    if (const Status good = Authenticator::check_form(head, route.access.kind()); !good)
        return good.error();
    if (is_dropped) return admit_upload(head, route);
    return http::BodyLimit{route.body.bytes_max};
}

/// Before the body, because that is what is bounded. The certificate's name is the authority's word; that
/// it is still good is looked at in handle().
Result<http::BodyLimit> Gateway::admit_upload(const http::Request& head, const Route& route) {
    const auto host = HostId::parse(head.certificate->common_name);
    const std::string* length = head.header("content-length");
    if (!host) return refuse(ErrorCode::unauthenticated, "The certificate is no host's.");
    if (length == nullptr) return refuse(ErrorCode::length_required, "This route needs a Content-Length.");
    std::int64_t bytes = 0;
    const auto parsed = std::from_chars(length->data(), length->data() + length->size(), bytes);
    if (parsed.ec != std::errc() || std::cmp_greater(bytes, route.body.bytes_max))
        return http::BodyLimit{route.body.bytes_max};  // which the body is larger than
    auto place = services_.network_tests.begin(*host, bytes);
    if (!place) return place.error();
    return http::BodyLimit{route.body.bytes_max, true, network_test_transfer.count, std::move(*place)};
}

/// While another server leads, this one answers to the end: nobody need notice that it stops.
bool Gateway::is_served_while_draining(const http::Request& head) const {
    const auto leader = services_.follower.leader();
    return is_from_replica(head) || (leader && !leader->is_self);
}

http::Reply Gateway::no_route(const http::Request& request, const Error& error) const {
    http::Reply reply = http::problem(error, request.request_id);
    if (error.code == ErrorCode::method_not_allowed)
        reply.headers.emplace_back("Allow", router_.allowed(request.path));
    return reply;
}

void Gateway::handle(http::Request request, std::function<void(http::Reply)> respond) {
    if (apps_.is_for_app(request)) return apps_.handle(std::move(request), std::move(respond));
    const auto exchange = std::make_shared<Exchange>();
    exchange->is_forwarded = take_forwarded(request);
    exchange->request = std::move(request);
    exchange->respond = std::move(respond);
    try {
        auto found = match(exchange->request);
        if (!found) return exchange->respond(no_route(exchange->request, found.error()));
        exchange->route = &routes_[found->index];
        exchange->parameters = std::move(found->parameters);
        authenticator_.authenticate(exchange->request, exchange->route->access.kind(),
                                    [this, exchange](Result<Identity> identity) {
                                        if (!identity) return finish(exchange, identity.error());
                                        exchange->actor = identity->actor;
                                        exchange->is_frozen = identity->is_frozen;
                                        try {
                                            dispatch(exchange);
                                        } catch (const std::exception& error) {
                                            finish_failed(exchange, services_, error.what());
                                        }
                                    });
    } catch (const std::exception& error) {
        finish_failed(exchange, services_, error.what());
    }
}

void Gateway::dispatch(const ExchangePtr& exchange) {
    if (const Status good = check_request(*exchange); !good) return finish(exchange, good.error());
    const bool is_for_leader =
        exchange->route->is_for_leader || std::holds_alternative<CommandHandler>(exchange->route->handler);
    if (!is_for_leader || services_.engine.accepts()) return run(exchange);
    // Once is enough: a server that was taken for the leader says that it is not.
    if (exchange->is_forwarded)
        return finish(exchange, refuse(ErrorCode::not_leader, "This server does not lead the market."));
    services_.forwarder.forward(exchange, [this](const ExchangePtr& here) {
        try {
            run(here);
        } catch (const std::exception& error) {
            finish_failed(here, services_, error.what());
        }
    });
}

void Gateway::run(const ExchangePtr& exchange) {
    const auto& handler = exchange->route->handler;
    if (std::holds_alternative<CommandHandler>(handler)) return run_command(exchange, services_);
    if (std::holds_alternative<JobHandler>(handler)) return run_job(exchange, services_);
    if (const auto* direct = std::get_if<DirectHandler>(&handler))
        return finish(exchange, direct->run(Call{*exchange, services_}));
    std::get<AsyncHandler>(handler).run(exchange, services_, [exchange](Result<http::Reply> result) {
        finish(exchange, std::move(result));
    });
}

void finish(const ExchangePtr& exchange, Result<http::Reply> result) {
    // An exchange is answered once; what comes after an answer has been logged where it went wrong.
    const auto respond = std::exchange(exchange->respond, nullptr);
    if (!respond) return;
    if (result) {
        http::Reply reply = std::move(*result);
        apply_etag(exchange->request, reply);
        return respond(std::move(reply));
    }
    http::Reply reply = http::problem(result.error(), exchange->request.request_id);
    respond(std::move(reply));
}

void finish_failed(const ExchangePtr& exchange, Services& services, std::string_view what) {
    services.log.error("request failed", {{"request_id", std::string_view(exchange->request.request_id)},
                                          {"path", std::string_view(exchange->request.path)},
                                          {"error", what}});
    finish(exchange, refuse(ErrorCode::internal,
                            "The server failed on this request; its operator finds it by its request_id."));
}

/// Without a session nothing was done, and the same request can succeed in a moment. A commit without an
/// answer may have been done: only the same key tells.
void finish_failed(const ExchangePtr& exchange, Services& services, const store::DatabaseError& error) {
    const bool is_unknown = error.fault() == store::Fault::in_doubt;
    if (!is_unknown && error.fault() != store::Fault::connection)
        return finish_failed(exchange, services, std::string_view(error.what()));
    services.log.error("the database is out of reach",
                       {{"request_id", std::string_view(exchange->request.request_id)},
                        {"path", std::string_view(exchange->request.path)},
                        {"error", std::string_view(error.what())}});
    finish(exchange,
           refuse(ErrorCode::database_unavailable,
                  is_unknown
                      ? "The database went away during the commit, so that the outcome is not known: "
                        "repeat the request with the same Idempotency-Key."
                      : "The database is out of reach and nothing was changed: try again in a moment."));
}

}  // namespace fallow::api
