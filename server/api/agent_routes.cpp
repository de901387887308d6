// What agents call: inventory, heartbeat, reports and usage. Enrolment is in enrollment.cpp, the desired
// state in desired.cpp, files and logs in agent_file_routes.cpp.
#include <algorithm>

#include "api/agent_decode.hpp"
#include "api/desired.hpp"
#include "api/enrollment.hpp"
#include "api/host_count.hpp"
#include "api/json_writer.hpp"
#include "api/outcomes.hpp"
#include "api/public_address.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/usage_statement.hpp"
#include "auth/base64.hpp"
#include "auth/sha256.hpp"
#include "engine/presence.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

Result<Decoded> decode_put_inventory(const Call& call) {
    auto inventory = decode_inventory(call.request().body);
    if (!inventory) return inventory.error();
    return command(std::move(*inventory));
}

/// Nothing where it is not known, and empty for one that tells nothing of the host.
std::optional<std::string> address_of(const Call& call) {
    const std::string& remote = call.request().remote_address;
    if (remote.empty()) return std::nullopt;
    if (std::ranges::find(call.services.config.proxy_addresses, remote) !=
        call.services.config.proxy_addresses.end())
        return std::string();
    return public_address(remote);
}

/// Small and answered at once: no database, no queue. Only the leader that the database has just confirmed
/// may say that a host's leases are still its own.
Result<http::Reply> heartbeat(const Call& call) {
    if (const Status good = decode_heartbeat(call.request().body); !good) return good.error();
    // Noted even if it must be refused: the host is not silent because the database is.
    call.services.engine.heartbeat(*call.actor().host(), address_of(call));
    const auto epoch = call.services.engine.confirmed_epoch();
    if (!epoch)
        return refuse(ErrorCode::not_leader,
                      "The database has not confirmed this server's leadership just now.");
    const ops::Config& config = call.services.config;
    JsonWriter json;
    json.begin_object()
        .field("epoch", *epoch)
        .field("server_time", call.services.now())
        .field("next_heartbeat_ms", config.heartbeat_interval_ms)
        .field("idle_heartbeat_ms", config.heartbeat_interval_ms + config.heartbeat_timeout_ms)
        .field("timeout_ms", config.heartbeat_timeout_ms)
        .field("idle_return_ms", engine::idle_return(call.services.hosts.online()))
        .end_object();
    return json_reply(json.take());
}

Result<Decoded> decode_lease_report(const Call& call) {
    const auto lease = call.id<LeaseId>("lease");
    if (!lease) return lease.error();
    auto report = decode_report(call.request().body, *lease);
    if (!report) return report.error();
    return command(std::move(*report));
}

Result<Decoded> decode_usage_report(const Call& call) {
    const auto lease = call.id<LeaseId>("lease");
    if (!lease) return lease.error();
    auto given = decode_usage(call.request().body);
    if (!given) return given.error();
    auto usage = parse_usage_statement(given->statement);
    if (!usage) return usage.error();
    if (usage->lease != *lease)
        return refuse(ErrorCode::invalid_field, "The statement names another lease than the path.",
                      "/statement");
    usage->statement_sha256 = auth::sha256_hex(usage->statement);
    usage->signature = std::move(given->signature);
    return command(std::move(*usage));
}

/// The statement must be signed by the key that this host registered; what it claims is for the market to
/// judge.
Result<std::string> verify_usage(JobCall& call, market::Command& made) {
    const auto& usage = std::get<market::ReportUsage>(made);
    const auto host = find_row<market::Host>(call.tx, *call.actor().host());
    if (!host) return host.error();
    const auto key = auth::base64_decode(host->signing_key);
    const auto signature = auth::base64_decode(usage.signature);
    if (!key || !signature || !auth::verify(*key, usage.statement, *signature))
        return refuse(ErrorCode::signature_invalid,
                      "Sign the statement's exact bytes with the host's registered key.", "/signature");
    return std::string();
}

}  // namespace

void add_agent_routes(std::vector<Route>& routes) {
    const auto agent = Access::agent();
    // The token in the body is what authenticates an enrolment.
    routes.push_back({post, "/v1/agent/enroll", Access::open(), small_json, not_keyed, AsyncHandler{enroll},
                      false, for_leader});
    routes.push_back({post, "/v1/agent/certificate", agent, small_json, not_keyed,
                      JobHandler{renew_certificate, JobHandler::As::auth}});
    routes.push_back({put, "/v1/agent/inventory", agent, large_json, not_keyed,
                      CommandHandler{decode_put_inventory, encode_cards}});
    routes.push_back({post, "/v1/agent/heartbeat", agent, job_json, not_keyed, DirectHandler{heartbeat},
                      false, for_leader});
    routes.push_back({get, "/v1/agent/desired", agent, no_body, not_keyed, AsyncHandler{desired}});
    routes.push_back({post, "/v1/agent/leases/{lease}/report", agent, small_json, not_keyed,
                      CommandHandler{decode_lease_report, encode_lease_report}});
    routes.push_back({post, "/v1/agent/leases/{lease}/usage", agent, small_json, not_keyed,
                      CommandHandler{decode_usage_report, encode_usage, 200, verify_usage}});
}

}  // namespace fallow::api
