// Links by which a browser is let in at a port of a job.
#include <fmt/format.h>

#include "api/app_names.hpp"
#include "api/authenticator.hpp"
#include "api/field_decode.hpp"
#include "api/json_writer.hpp"
#include "api/queries.hpp"
#include "api/reply.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "auth/derived_secret.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

/// ":8443" of a Host header, or nothing. The apps' names lead to the same listener.
std::string port_suffix(const std::string* host) {
    if (host == nullptr) return {};
    const std::size_t colon = host->rfind(':');
    const std::size_t bracket = host->rfind(']');
    const bool is_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
    return is_port ? host->substr(colon) : std::string();
}

Result<http::Reply> make_app_link(JobCall& call) {
    const auto job = call.id<JobId>("job");
    if (!job) return job.error();
    const auto port = decode_body(
        call.request().body, [](FieldReader& reader) { return reader.integer("port", 1, app_port_max); });
    if (!port) return port.error();
    const auto found = find_row<market::Job>(call.tx, *job);
    if (!found) return found.error();
    const std::string& domain = call.services.config.apps_domain;
    if (domain.empty())
        return refuse(ErrorCode::not_found,
                      "No port of a job has a name here: the operator has set no apps_domain.");
    const auto key_hash = Authenticator::key_hash_of(call.request());
    if (!key_hash) return refuse(ErrorCode::unauthenticated, "A link is made with an API key.");

    const AppName name{*job, *port};
    const Time ends_at = call.services.now() + app_link_life;
    const std::string secret = auth::derived_secret(call.services.signing_key, app_secret_label);
    JsonWriter json;
    json.begin_object()
        .field("url", fmt::format("https://{}{}/.fallow/session?token={}", app_host(name, domain),
                                  port_suffix(call.request().header("host")),
                                  make_app_pass(secret, AppPass::link, name, {*key_hash, ends_at})))
        .field("expires_at", ends_at)
        .end_object();
    return json_reply(json.take());
}

}  // namespace

void add_app_routes(std::vector<Route>& routes) {
    routes.push_back({post, "/v1/jobs/{job}/app-links", writes_as_renter(), small_json, keyed,
                      JobHandler{make_app_link}, true});
}

}  // namespace fallow::api
