// What leases and jobs use of what they pay for.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {
namespace {

std::string query_of(const TelemetryQuery& query) {
    const auto text = [](const std::optional<std::int64_t>& number) {
        return number ? std::to_string(*number) : std::string();
    };
    return query_string({{"history_ms", text(query.history_ms)}, {"points", text(query.points)}});
}

}  // namespace

LeaseTelemetry Client::lease_telemetry(std::string_view lease_id, const TelemetryQuery& query) {
    return from_json<LeaseTelemetry>(
        caller_->get(route("/v1/leases/{}/telemetry", lease_id) + query_of(query)).body);
}

LeaseTelemetry Client::any_lease_telemetry(std::string_view lease_id, const TelemetryQuery& query) {
    return from_json<LeaseTelemetry>(
        caller_->get(route("/v1/admin/leases/{}/telemetry", lease_id) + query_of(query)).body);
}

JobEfficiency Client::job_efficiency(std::string_view job_id) {
    return from_json<JobEfficiency>(caller_->get(route("/v1/jobs/{}/efficiency", job_id)).body);
}

}  // namespace fallow::sdk
