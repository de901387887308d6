// A host as the planner sees it, in a few words.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <sstream>
#include <string>

#include "agent/planner.hpp"

namespace fallow::agent::testing {

inline constexpr std::int64_t now = 1'000'000;
inline const std::string lease_id = "lease_00000000000000000000000001";

/// A host with one lease that runs well: acknowledged heartbeats, a container, nothing due.
struct PlannedHost {
    Desired desired;
    Observed observed;
    bool told = true;  ///< the server has told the desired state since the agent started
    PlannerLimits limits;

    PlannedHost() {
        DesiredLease lease;
        lease.lease_id = lease_id;
        lease.lease_epoch = 5;
        lease.run = true;
        lease.job_id = "job_1";
        lease.spec = JobSpec{};
        lease.usage_interval_ms = 30'000;
        lease.cards = {{"card_1", "GPU-1", "nvml", "gpu", 0}, {"card_2", "GPU-2", "nvml", "gpu", 1}};
        lease.reclaim_notice_ms = 5000;
        desired.epoch = 5;
        desired.asked_boot_ms = now - 1000;
        desired.leases = {lease};
        LeaseSeen seen;
        seen.record.desired = lease;
        seen.record.accepted = true;
        seen.record.container_id = "c1";
        seen.record.started = true;
        seen.record.started_boot_ms = now - 10'000;
        seen.record.running_reported = true;
        seen.record.usage_stated_boot_ms = now - 10'000;
        seen.record.meter = {0, now - 10'000, true};
        observed.engine_reachable = true;
        observed.leases = {seen};
        observed.containers = {{"c1", lease_id, 5, ContainerState::running}};
        observed.heartbeat_acknowledged_boot_ms = now - 2000;
    }

    LeaseRecord& record() { return observed.leases[0].record; }
    LeaseSeen& seen() { return observed.leases[0]; }
    /// What the server wants, heard and taken over.
    void want(const std::function<void(DesiredLease&)>& change) {
        change(desired.leases[0]);
        record().desired = desired.leases[0];
    }
    void fresh() {
        record() = LeaseRecord{};
        record().desired = desired.leases[0];
        observed.containers.clear();
    }
    void exited() {
        record().exit = ContainerExit{0, false, false};
        record().meter.counting = false;
        observed.containers[0].state = ContainerState::exited;
    }
    /// Its job has a folder that is saved so often.
    void saves(std::int64_t interval_ms) { record().checkpoint = CheckpointSpec{"saved", interval_ms, 1}; }
    /// Exited, and everything but its checkpoint has been dealt with.
    void through() {
        exited();
        record().logs_drained = record().final_usage_stated = true;
        record().exit_reported = record().outputs_uploaded = true;
    }
    void frozen(std::int64_t at) {
        record().paused_boot_ms = at;
        record().meter.counting = false;
        observed.containers[0].state = ContainerState::paused;
    }
    void claimed(const OwnerClaim& claim) { observed.claims.push_back(claim); }
    /// The owner's notice has been noted, and ends then.
    void reclaimed(std::int64_t until) {
        claimed({"GPU-1", record().started ? until - 5000 : until});
        record().reclaim_until_boot_ms = until;
    }
    void silent() { observed.heartbeat_acknowledged_boot_ms = now - 10'000; }
};

inline std::string plan(const PlannedHost& host) {
    std::ostringstream text;
    const char* between = "";
    for (const Action& action :
         reconcile(host.told ? &host.desired : nullptr, host.observed, now, host.limits)) {
        text << between << name_of(action.kind);
        if (action.cause != StopCause::none) text << ":" << name_of(action.cause);
        between = " ";
    }
    return text.str();
}

struct Row {
    const char* situation;
    std::function<void(PlannedHost&)> change;
    const char* actions;
};

}  // namespace fallow::agent::testing
