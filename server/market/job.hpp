// A job: a workload that runs as attempts, each on a lease. What runs inside is opaque to the market: the
// container's command, environment and files travel as one JSON document that the market neither reads nor
// journals.
#pragma once

#include <optional>
#include <string>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "market/lease.hpp"
#include "market/order.hpp"

namespace fallow::market {

FALLOW_ENUM(JobState, queued, assigned, running, succeeded, failed, cancelled)

struct Job {
    static constexpr std::string_view table = "jobs";
    JobId id;
    OrganizationId organization;
    JobState state = JobState::queued;
    std::optional<OrderId> order;  ///< the order that stands for, or was filled for, the current attempt
    std::optional<LeaseId> lease;  ///< the current or last attempt's
    std::string image;
    Millis max_duration;
    std::int32_t attempts_max = 1;
    std::int32_t attempts = 0;
    std::optional<std::int32_t> exit_code;
    std::optional<EndReason> reason;  ///< of the last attempt's end
    Time queued_at;
    std::optional<Time> started_at;
    std::optional<Time> finished_at;
    std::int64_t version = 1;
    std::int32_t rank = 0;      ///< among the jobs of its order, one for each host
    std::int32_t hosts = 1;     ///< how many those are
    TrafficUsed traffic_used;   ///< up to the end of its last attempt
    std::int32_t restarts = 0;  ///< of its container, within the current or last attempt

    [[nodiscard]] bool is_member() const { return hosts > 1; }

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("state", row.state);
        visit.field("order_id", row.order);
        visit.field("lease_id", row.lease);
        visit.field("image", row.image);
        visit.field("max_duration_ms", row.max_duration);
        visit.field("attempts_max", row.attempts_max);
        visit.field("attempts", row.attempts);
        visit.field("exit_code", row.exit_code);
        visit.field("reason", row.reason);
        visit.field("queued_at", row.queued_at);
        visit.field("started_at", row.started_at);
        visit.field("finished_at", row.finished_at);
        visit.field("version", row.version);
        visit.field("rank", row.rank);
        visit.field("hosts", row.hosts);
        visit.field("egress_mib_used", row.traffic_used.mib);
        visit.field("overage_micros_used", row.traffic_used.overage);
        visit.field("restarts", row.restarts);
    }
};

/// The part of a job that only its host reads; written once, never changed.
struct JobSpec {
    static constexpr std::string_view table = "job_specs";
    JobId job;
    OrganizationId organization;
    std::string document;  ///< JSON, as schema/openapi.yaml's JobSpec

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("job_id", row.job);
        visit.field("organization_id", row.organization);
        visit.field("document", row.document);
    }
};

}  // namespace fallow::market
