// The part of LeaseTask that knows what its guests have sent to the internet. The gate counts and limits
// it; here is asked, kept and told.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "agent/lease_task.hpp"

namespace fallow::agent {

TrafficTerms LeaseTask::traffic_terms(const LeaseRecord& r) {
    return {r.desired.lease_id, r.egress_bytes, r.desired.egress_bytes_max};
}

/// In the gate before there is a guest. A gate that has lost its counts goes on from what was known.
void LeaseTask::meter_traffic() {
    runtime_->meter_traffic(traffic_terms(record()));
}

/// Any lane, and the log's sender. What has run is billed whether this can be read or not: then it is what
/// was known last.
GuestTraffic LeaseTask::look_at_traffic() {
    const LeaseRecord r = record();
    GuestTraffic traffic = {r.egress_bytes, r.desired.egress_bytes_max, false};
    try {
        const auto counted = runtime_->traffic_of(r.desired.lease_id);
        if (!counted) return traffic;
        if (counted->bytes_max != r.desired.egress_bytes_max && !r.exit) meter_traffic();
        traffic.sent_bytes = std::max(traffic.sent_bytes, counted->sent_bytes);
        traffic.was_refused = counted->was_refused;
    } catch (const std::exception& error) {
        spdlog::warn("the traffic of lease {} cannot be read: {}", r.desired.lease_id, error.what());
    }
    return traffic;
}

/// The gate is asked only where there is something to tell.
std::optional<TrafficNotice> LeaseTask::due_notice() {
    if (!record().desired.egress_bytes_max) return std::nullopt;
    return traffic_notice(look_at_traffic());
}

/// Its guests are gone, and what they sent is stated.
void LeaseTask::forget_traffic() {
    const std::string lease_id = record().desired.lease_id;
    try {
        runtime_->forget_traffic(lease_id);
    } catch (const std::exception& error) {
        spdlog::warn("the traffic of lease {} is counted on in the gate: {}", lease_id, error.what());
    }
}

}  // namespace fallow::agent
