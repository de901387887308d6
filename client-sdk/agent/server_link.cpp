#include "agent/server_link.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "agent/clock.hpp"
#include "agent/crypto.hpp"
#include "agent/lease_json.hpp"
#include "agent/return_policy.hpp"
#include "fallow/url.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t call_timeout_ms = 10'000;
constexpr std::int64_t connect_timeout_ms = 2000;
constexpr std::int64_t part_timeout_ms = 60'000;
constexpr std::int64_t long_poll_slack_ms = 10'000;
constexpr std::int64_t retry_after_s_max = 24 * 3600;
constexpr std::size_t idle_connections_max = 8;

json parse_or_throw(const sdk::HttpResponse& response) {
    json body = json::parse(response.body, nullptr, false);
    if (!body.is_object())
        throw ServerError(response.status, "bad_reply", "the server's reply is not a JSON object");
    return body;
}

/// A member of a reply in the wrong form is as good as no reply: reported as the server's fault, retried
/// later.
template <class T>
T member(const json& body, const char* name) {
    try {
        return body.at(name).get<T>();
    } catch (const json::exception& error) {
        throw ServerError(502, "bad_reply", std::string(name) + ": " + error.what());
    }
}

std::int64_t time_member(const json& body, const char* name) {
    const auto parsed = parse_rfc3339(member<std::string>(body, name));
    if (!parsed) throw ServerError(502, "bad_reply", std::string(name) + " is not a time");
    return *parsed;
}

std::string lease_path(const std::string& lease_id, const std::string& rest) {
    return "/v1/agent/leases/" + sdk::percent_encode(lease_id) + rest;
}

std::string artifact_path(const std::string& lease_id, const char* kind, const std::string& artifact_id,
                          const std::string& rest) {
    return lease_path(lease_id, std::string("/") + kind + "/" + sdk::percent_encode(artifact_id) + rest);
}

/// Changes when the certificate is replaced: the writer renames a new file over the old one.
std::string stamp_of(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) return {};
    return std::to_string(facts.st_ino) + "." + std::to_string(facts.st_mtim.tv_sec) + "." +
           std::to_string(facts.st_mtim.tv_nsec);
}

}  // namespace

bool ServerError::is_final() const {
    const bool may_pass =
        status_ == 401 || status_ == 403 || status_ == 408 || status_ == 425 || status_ == 429;
    return status_ >= 400 && status_ < 500 && !may_pass && code_ != "nonce_mismatch" &&
           code_ != "usage_not_monotone";
}

std::unique_ptr<sdk::HttpClient> IdleConnections::take(const std::string& certificate_stamp) {
    const std::lock_guard lock(mutex_);
    if (certificate_stamp != certificate_stamp_ || idle_.empty()) return nullptr;
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    return connection;
}

void IdleConnections::give(const std::string& certificate_stamp,
                           std::unique_ptr<sdk::HttpClient> connection) {
    const std::lock_guard lock(mutex_);
    if (certificate_stamp != certificate_stamp_) idle_.clear();
    certificate_stamp_ = certificate_stamp;
    if (idle_.size() < idle_connections_max) idle_.push_back(std::move(connection));
}

ServerLink::ServerLink(const std::string& url, const std::string& ca_file) {
    options_.base_url = url;
    options_.ca_file = ca_file;
    options_.user_agent = "fallow-agent/" + std::string(agent_version);
}

ServerLink::ServerLink(const StateFolder& state, std::function<std::int64_t()> server_unix_ms,
                       std::shared_ptr<IdleConnections> idle)
    : ServerLink(state.identity().url, state.ca_file().string()) {
    state_ = &state;
    idle_ = std::move(idle);
    options_.unix_seconds = [now = std::move(server_unix_ms)] { return now() / 1000; };
    options_.client_certificate_file = state.certificate_file().string();
    options_.client_key_file = state.tls_key_file().string();
}

bool ServerLink::is_refused() const {
    return sdk::is_refused(options_, connect_timeout_ms);
}

sdk::HttpClient& ServerLink::client() {
    const std::string stamp = state_ == nullptr ? "" : stamp_of(options_.client_certificate_file);
    if (!client_ || stamp != certificate_stamp_) {
        certificate_stamp_ = stamp;
        client_ = idle_ ? idle_->take(stamp) : nullptr;
        if (!client_) client_ = std::make_unique<sdk::HttpClient>(options_);
    }
    return *client_;
}

void ServerLink::throw_problem(const sdk::HttpResponse& response) {
    const json problem = json::parse(response.body, nullptr, false);
    const bool readable = problem.is_object();
    const std::string_view after = response.header("retry-after");
    std::int64_t after_s = 0;
    if (std::from_chars(after.data(), after.data() + after.size(), after_s).ec != std::errc()) after_s = 0;
    throw ServerError(response.status, readable ? problem.value("code", "unknown") : "unknown",
                      readable ? problem.value("detail", "") : "status " + std::to_string(response.status),
                      std::clamp<std::int64_t>(after_s, 0, retry_after_s_max) * 1000);
}

sdk::HttpResponse ServerLink::send(sdk::HttpRequest request) {
    sdk::HttpResponse response = client().send(request);
    if (idle_) idle_->give(certificate_stamp_, std::move(client_));
    if (!response.ok()) throw_problem(response);
    return response;
}

sdk::HttpResponse ServerLink::post(const std::string& path, std::string body) {
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = path;
    request.body = std::move(body);
    request.content_type = "application/json";
    request.timeout_ms = call_timeout_ms;
    return send(std::move(request));
}

EnrollReply ServerLink::enroll(const EnrollRequest& request) {
    json body = {{"token", request.token},
                 {"csr", request.csr},
                 {"signing_key", request.signing_key},
                 {"proof", request.proof},
                 {"agent_version", agent_version},
                 {"engine", request.engine},
                 {"cpu_cores", request.cpu_cores},
                 {"memory_bytes", request.memory_bytes}};
    if (!request.runtime.empty()) body["runtime"] = request.runtime;
    const json reply = parse_or_throw(post("/v1/agent/enroll", body.dump()));
    EnrollReply result;
    result.identity.host_id = member<std::string>(reply, "host_id");
    result.identity.server_key = member<std::string>(reply, "server_key");
    result.identity.market = member<std::string>(reply, "market");
    result.identity.heartbeat_interval_ms = member<std::int64_t>(reply, "heartbeat_interval_ms");
    result.certificate = member<std::string>(reply, "certificate");
    return result;
}

std::string ServerLink::renew_certificate(const std::string& csr) {
    const json reply = parse_or_throw(post("/v1/agent/certificate", json{{"csr", csr}}.dump()));
    return member<std::string>(reply, "certificate");
}

void ServerLink::put_inventory(const std::string& body) {
    sdk::HttpRequest request;
    request.method = "PUT";
    request.path = "/v1/agent/inventory";
    request.body = body;
    request.content_type = "application/json";
    request.timeout_ms = call_timeout_ms;
    send(std::move(request));
}

HeartbeatReply ServerLink::heartbeat(const std::string& boot_id, std::int64_t sequence,
                                     const std::vector<LeasePhase>& leases, std::int64_t timeout_ms) {
    json items = json::array();
    for (const LeasePhase& lease : leases)
        items.push_back(
            {{"lease_id", lease.lease_id}, {"lease_epoch", lease.lease_epoch}, {"phase", lease.phase}});
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = "/v1/agent/heartbeat";
    request.body = json{{"boot_id", boot_id}, {"sequence", sequence}, {"leases", items}}.dump();
    request.content_type = "application/json";
    request.timeout_ms = timeout_ms;
    const json reply = parse_or_throw(send(std::move(request)));
    const auto next_ms = member<std::int64_t>(reply, "next_heartbeat_ms");
    return {member<std::int64_t>(reply, "epoch"),
            time_member(reply, "server_time"),
            next_ms,
            reply.value("idle_heartbeat_ms", next_ms),  // not every server says it
            member<std::int64_t>(reply, "timeout_ms"),
            reply.value("idle_return_ms", idle_return_ms_unknown)};
}

Desired ServerLink::desired(const std::string& known_version, std::int64_t wait_ms,
                            std::int64_t server_offset_ms, std::stop_token stop) {
    sdk::HttpRequest request;
    request.path = "/v1/agent/desired";
    if (!known_version.empty())
        request.path +=
            sdk::query_string({{"version", known_version}, {"wait_ms", std::to_string(wait_ms)}});
    request.timeout_ms = (known_version.empty() ? 0 : wait_ms) + long_poll_slack_ms;
    request.stop = stop;
    const std::int64_t asked = boot_clock_ms();
    const sdk::HttpResponse response = send(std::move(request));
    return parse_desired(response.body, {asked, boot_clock_ms(), server_offset_ms});
}

std::string ServerLink::report(const std::string& lease_id, const Report& report) {
    json body = {{"lease_epoch", report.lease_epoch}, {"phase", report.phase}};
    if (report.phase == "running") {
        body["container_id"] = report.container_id;
        body["boot_id"] = report.boot_id;
        if (report.restarts > 0) body["restarts"] = report.restarts;
    }
    if (report.exit) {
        body["exit_code"] = report.exit->exit_code;
        body["oom_killed"] = report.exit->oom_killed;
        body["is_temporary"] = report.exit->is_temporary;
        body["duration_exceeded"] = report.exit->duration_exceeded;
        body["stop"] = name_of(report.stop_cause);
    }
    if (report.failure) {
        body["reason"] = report.failure->reason;
        body["detail"] = report.failure->detail;
    }
    if (report.notice_ms) body["notice_ms"] = *report.notice_ms;
    const json reply = parse_or_throw(post(lease_path(lease_id, "/report"), body.dump()));
    return reply.contains("nonce") && reply["nonce"].is_string() ? reply["nonce"].get<std::string>() : "";
}

void ServerLink::put_gang_member(const std::string& lease_id, std::int64_t lease_epoch,
                                 const std::string& public_key, const std::string& endpoint) {
    const json body = {{"lease_epoch", lease_epoch}, {"public_key", public_key}, {"endpoint", endpoint}};
    sdk::HttpRequest request;
    request.method = "PUT";
    request.path = lease_path(lease_id, "/network");
    request.body = body.dump();
    request.content_type = "application/json";
    request.timeout_ms = call_timeout_ms;
    send(std::move(request));
}

UsageReply ServerLink::state_usage(const std::string& lease_id, const std::string& statement,
                                   const std::string& signature) {
    const json body = {{"statement", statement}, {"signature", signature}};
    const json reply = parse_or_throw(post(lease_path(lease_id, "/usage"), body.dump()));
    UsageReply result{member<std::string>(reply, "nonce"), member<std::int64_t>(reply, "sequence"), {}};
    if (reply.contains("paid_until") && !reply["paid_until"].is_null())
        result.paid_until_unix_ms = time_member(reply, "paid_until");
    return result;
}

std::int64_t ServerLink::append_logs(const std::string& lease_id, std::int64_t first_sequence,
                                     const std::vector<LogEntry>& entries) {
    json items = json::array();
    for (const LogEntry& entry : entries)
        items.push_back({{"stream", entry.stream == LogStream::standard_error ? "stderr" : "stdout"},
                         {"at", format_rfc3339(entry.unix_ms)},
                         {"data", base64_encode(entry.data)}});
    const json body = {{"sequence", first_sequence}, {"entries", items}};
    const json reply = parse_or_throw(post(lease_path(lease_id, "/logs"), body.dump()));
    return member<std::int64_t>(reply, "next_sequence");
}

std::vector<InputArtifact> ServerLink::inputs(const std::string& lease_id) {
    sdk::HttpRequest request;
    request.path = lease_path(lease_id, "/inputs");
    request.timeout_ms = call_timeout_ms;
    const json reply = parse_or_throw(send(std::move(request)));
    std::vector<InputArtifact> found;
    for (const json& item : member<json>(reply, "items")) {
        const json artifact = member<json>(item, "artifact");
        found.push_back({.path = member<std::string>(item, "path"),
                         .artifact_id = member<std::string>(artifact, "id"),
                         .bytes = member<std::int64_t>(artifact, "bytes"),
                         .sha256 = member<std::string>(artifact, "sha256")});
    }
    return found;
}

std::string ServerLink::input_part(const std::string& lease_id, const std::string& artifact_id,
                                   std::int64_t part, std::stop_token stop) {
    sdk::HttpRequest request;
    request.path = artifact_path(lease_id, "inputs", artifact_id, "/parts/" + std::to_string(part));
    request.timeout_ms = part_timeout_ms;
    request.stop = stop;
    return send(std::move(request)).body;
}

std::string ServerLink::begin_output(const std::string& lease_id, const std::string& path,
                                     std::int64_t bytes, const std::string& sha256) {
    const json body = {{"path", path}, {"bytes", bytes}, {"sha256", sha256}};
    return member<std::string>(parse_or_throw(post(lease_path(lease_id, "/outputs"), body.dump())), "id");
}

void ServerLink::put_output_part(const std::string& lease_id, const std::string& artifact_id,
                                 std::int64_t part, std::string octets) {
    sdk::HttpRequest request;
    request.method = "PUT";
    request.path = artifact_path(lease_id, "outputs", artifact_id, "/parts/" + std::to_string(part));
    request.body = std::move(octets);
    request.content_type = "application/octet-stream";
    request.timeout_ms = part_timeout_ms;
    send(std::move(request));
}

void ServerLink::complete_output(const std::string& lease_id, const std::string& artifact_id) {
    post(artifact_path(lease_id, "outputs", artifact_id, "/complete"), "{}");
}

}  // namespace fallow::agent
