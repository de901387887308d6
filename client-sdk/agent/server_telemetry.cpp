// The routes of ServerLink for telemetry and progress.
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/clock.hpp"
#include "agent/server_link.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t call_timeout_ms = 10'000;
constexpr std::int64_t progress_timeout_ms = 5'000;

void put(json& object, const char* name, const std::optional<UseLevel>& level) {
    if (level) object[name] = {{"mean", level->mean}, {"max", level->max}};
}

json minute_json(const UseMinute& minute) {
    json object = {{"at", format_rfc3339(minute.at_unix_ms)}, {"samples", minute.samples}};
    put(object, "utilization_thousandths", minute.utilization_thousandths);
    put(object, "memory_used_bytes", minute.memory_used_bytes);
    put(object, "power_milliwatts", minute.power_milliwatts);
    put(object, "temperature_celsius", minute.temperature_celsius);
    return object;
}

json card_json(const CardMinutes& card) {
    json object = {{"card_id", card.of.card_id},
                   {"source", card.of.source},
                   {"shared", card.of.shared},
                   {"minutes", json::array()}};
    if (card.of.memory_bytes) object["memory_bytes"] = *card.of.memory_bytes;
    if (card.of.cpu_millis) object["cpu_millis"] = *card.of.cpu_millis;
    for (const UseMinute& minute : card.minutes)
        object["minutes"].push_back(minute_json(minute));
    return object;
}

}  // namespace

void ServerLink::put_progress(const std::string& lease_id, const TransferProgress& progress,
                              std::stop_token stop) {
    json body = {{"step", std::string(name_of(progress.step))}, {"done_bytes", progress.done_bytes}};
    if (progress.total_bytes) body["total_bytes"] = *progress.total_bytes;
    sdk::HttpRequest request;
    request.method = "PUT";
    request.path = "/v1/agent/leases/" + lease_id + "/progress";
    request.body = body.dump();
    request.content_type = "application/json";
    request.timeout_ms = progress_timeout_ms;
    request.stop = std::move(stop);
    send(std::move(request));
}

void ServerLink::send_telemetry(const std::string& lease_id, const std::vector<CardMinutes>& cards,
                                std::stop_token stop) {
    json body = {{"cards", json::array()}};
    for (const CardMinutes& card : cards)
        body["cards"].push_back(card_json(card));
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = "/v1/agent/leases/" + lease_id + "/telemetry";
    request.body = body.dump();
    request.content_type = "application/json";
    request.timeout_ms = call_timeout_ms;
    request.stop = std::move(stop);
    send(std::move(request));
}

}  // namespace fallow::agent
