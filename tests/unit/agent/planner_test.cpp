// The planner as a table: one situation a row, and the actions that have to come out.
#include "planner_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
using Host = PlannedHost;

namespace {

const Row rows[] = {
    {"all is well", [](Host&) {}, ""},
    {"nothing wanted, nothing there",
     [](Host& h) {
         h.desired.leases.clear();
         h.observed.leases.clear();
         h.observed.containers.clear();
     },
     ""},

    // From nothing to running.
    {"a new lease",
     [](Host& h) {
         h.observed.leases.clear();
         h.observed.containers.clear();
     },
     "adopt"},
    {"adopted", [](Host& h) { h.fresh(); }, "prepare report_accepted"},
    {"adopted, with inputs that the server gives to an accepted lease only",
     [](Host& h) {
         h.fresh();
         h.want([](DesiredLease& d) { d.spec->inputs.push_back({}); });
     },
     "report_accepted"},
    {"adopted, with a checkpoint that the server gives to an accepted lease only",
     [](Host& h) {
         h.fresh();
         h.want([](DesiredLease& d) { d.spec->checkpoint.emplace(); });
     },
     "report_accepted"},
    {"it could not be prepared, and was given up before the server had heard that it is accepted",
     [](Host& h) {
         h.fresh();
         h.record().failure = LeaseFailure{"image_pull_failed", ""};
         h.want([](DesiredLease& d) { d.run = false; });
     },
     "remove"},
    {"prepared before the server has heard that it is accepted",
     [](Host& h) {
         h.record().accepted = h.record().started = h.record().running_reported = false;
         h.record().meter.counting = false;
         h.observed.containers[0].state = ContainerState::created;
     },
     "report_accepted"},
    {"adopted, but it has no job yet",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.spec.reset(); });
         h.fresh();
     },
     ""},
    {"accepted",
     [](Host& h) {
         h.fresh();
         h.record().accepted = true;
     },
     "prepare"},
    {"accepted, while the engine is not there",
     [](Host& h) {
         h.fresh();
         h.record().accepted = true;
         h.observed.engine_reachable = false;
     },
     ""},
    {"accepted, while fenced",
     [](Host& h) {
         h.fresh();
         h.record().accepted = true;
         h.silent();
     },
     ""},
    {"preparing",
     [](Host& h) {
         h.fresh();
         h.record().accepted = true;
         h.seen().engine_lane_busy = h.seen().preparing = true;
     },
     ""},
    {"created",
     [](Host& h) {
         h.record().started = h.record().running_reported = false;
         h.record().meter.counting = false;
         h.observed.containers[0].state = ContainerState::created;
     },
     "start"},
    {"created, and gone again before it started",
     [](Host& h) {
         h.record().started = h.record().running_reported = false;
         h.record().meter.counting = false;
         h.observed.containers.clear();
     },
     "prepare"},
    {"started, and the agent died before it wrote that down",
     [](Host& h) {
         h.record().started = h.record().running_reported = false;
         h.record().meter.counting = false;
     },
     "start"},
    {"started", [](Host& h) { h.record().running_reported = false; }, "report_running"},
    {"usage is due", [](Host& h) { h.record().usage_stated_boot_ms = now - 30'000; }, "state_usage"},
    {"usage is due, and the engine does not say whether the container still runs",
     [](Host& h) {
         h.record().usage_stated_boot_ms = now - 30'000;
         h.observed.engine_reachable = false;
         h.observed.containers.clear();
     },
     ""},
    {"usage is due, and the container has exited since",
     [](Host& h) {
         h.record().usage_stated_boot_ms = now - 30'000;
         h.observed.containers[0].state = ContainerState::exited;
     },
     "record_exit"},
    {"usage is due, and the server's lane is busy",
     [](Host& h) {
         h.record().usage_stated_boot_ms = now - 30'000;
         h.seen().server_lane_busy = true;
     },
     ""},
    {"preparing failed",
     [](Host& h) {
         h.fresh();
         h.record().accepted = true;
         h.record().failure = LeaseFailure{"image_pull_failed", ""};
     },
     "report_failed"},
    {"the failure is reported",
     [](Host& h) {
         h.fresh();
         h.record().accepted = h.record().failure_reported = true;
         h.record().failure = LeaseFailure{"image_pull_failed", ""};
     },
     "remove"},

    // The end, in the contract's order.
    {"the container has exited", [](Host& h) { h.observed.containers[0].state = ContainerState::exited; },
     "record_exit"},
    {"the container has vanished", [](Host& h) { h.observed.containers.clear(); }, "record_exit"},
    {"the container has vanished, if the engine were to be believed",
     [](Host& h) {
         h.observed.containers.clear();
         h.observed.engine_reachable = false;
     },
     ""},
    {"exited before running was reported",
     [](Host& h) {
         h.exited();
         h.record().running_reported = false;
     },
     "report_running"},
    {"exited, its log not yet through", [](Host& h) { h.exited(); }, ""},
    {"its log is through",
     [](Host& h) {
         h.exited();
         h.record().logs_drained = true;
     },
     "state_final_usage"},
    {"final usage is stated",
     [](Host& h) {
         h.exited();
         h.record().logs_drained = h.record().final_usage_stated = true;
     },
     "report_exited"},
    {"the exit is reported",
     [](Host& h) {
         h.exited();
         h.record().logs_drained = h.record().final_usage_stated = h.record().exit_reported = true;
     },
     "upload_outputs"},
    {"the outputs are uploaded",
     [](Host& h) {
         h.exited();
         h.record().logs_drained = h.record().final_usage_stated = h.record().exit_reported = true;
         h.record().outputs_uploaded = true;
     },
     "remove"},
    {"all is removed",
     [](Host& h) {
         h.exited();
         h.record().logs_drained = h.record().final_usage_stated = h.record().exit_reported = true;
         h.record().outputs_uploaded = h.record().removed = true;
         h.observed.containers.clear();
     },
     "report_gone"},
    {"gone, and still listed",
     [](Host& h) {
         h.exited();
         h.record().removed = h.record().gone_reported = true;
         h.observed.containers.clear();
     },
     ""},
    {"gone, and no longer listed",
     [](Host& h) {
         h.exited();
         h.record().removed = h.record().gone_reported = true;
         h.observed.containers.clear();
         h.desired.leases.clear();
     },
     "forget"},

    // Stops.
    {"a stop with grace",
     [](Host& h) {
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now + 5000;
         });
     },
     "terminate:wanted"},
    {"within the grace",
     [](Host& h) {
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now + 1;
         });
         h.record().terminated_boot_ms = now - 5000;
     },
     ""},
    {"the grace is over",
     [](Host& h) {
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now;
         });
         h.record().terminated_boot_ms = now - 5000;
     },
     "kill:wanted"},
    {"a stop without grace", [](Host& h) { h.want([](DesiredLease& d) { d.run = false; }); },
     "kill:wanted"},
    {"a stop before anything ran",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.run = false; });
         h.fresh();
     },
     "remove"},
    {"a stop of a created container",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.run = false; });
         h.record().started = h.record().running_reported = false;
         h.record().meter.counting = false;
         h.observed.containers[0].state = ContainerState::created;
     },
     "remove"},
    {"a stop while preparing",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.run = false; });
         h.fresh();
         h.record().accepted = true;
         h.seen().engine_lane_busy = h.seen().preparing = true;
     },
     "cancel_prepare"},

    // Deadlines, which need no server.
    {"the longest duration is reached",
     [](Host& h) { h.want([](DesiredLease& d) { d.max_duration_ms = 10'000; }); }, "kill:duration"},
    {"a millisecond before it",
     [](Host& h) { h.want([](DesiredLease& d) { d.max_duration_ms = 10'001; }); }, ""},
    {"the term or notice is over",
     [](Host& h) { h.want([](DesiredLease& d) { d.run_until_boot_ms = now; }); }, "kill:run_until"},
    {"the money is used up", [](Host& h) { h.want([](DesiredLease& d) { d.paid_until_boot_ms = now; }); },
     "kill:paid_until"},
    {"more money was paid than the desired state says",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.paid_until_boot_ms = now; });
         h.record().paid_until_boot_ms = now + 1;
     },
     ""},
    {"the money is used up, offline, after a restart of the agent",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.paid_until_boot_ms = now; });
         h.told = false;
         h.silent();
     },
     "kill:paid_until"},
    {"the money is used up within a grace",
     [](Host& h) {
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now + 5000;
             d.paid_until_boot_ms = now;
         });
     },
     "kill:paid_until"},

    // The fence: the guard freezes, the planner thaws or kills.
    {"frozen, and the server is silent",
     [](Host& h) {
         h.silent();
         h.frozen(now - 500);
     },
     ""},
    {"frozen, the server is back, and has not told yet whether the lease is still ours",
     [](Host& h) { h.frozen(now - 1000); }, ""},
    {"frozen, and the lease is still ours", [](Host& h) { h.frozen(now - 1001); }, "resume"},
    {"frozen, told that the lease is ours, but by a server that did not know us back yet",
     [](Host& h) {
         h.frozen(now - 5000);
         h.observed.contact_since_boot_ms = now - 1000;
     },
     ""},
    {"frozen, and given up by the server, which the record has not taken over yet",
     [](Host& h) {
         h.frozen(now - 5000);
         h.desired.leases[0].run = false;
     },
     "update"},
    {"about to start, when the server was away and may have given the lease up meanwhile",
     [](Host& h) {
         h.fresh();
         h.record().accepted = true;
         h.record().container_id = "c1";
         h.observed.containers = {{"c1", lease_id, 5, ContainerState::created}};
         h.observed.contact_since_boot_ms = now - 500;
     },
     ""},
    {"a pinned rental is not fenced as early as a batch job",
     [](Host& h) {
         h.fresh();
         h.want([](DesiredLease& d) { d.fence_ms = 610'000; });
         h.record().accepted = true;
         h.silent();
     },
     "prepare"},
    {"frozen, and a stop with grace is wanted: it has to run to hear of it",
     [](Host& h) {
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now + 5000;
         });
         h.frozen(now - 1001);
     },
     "resume"},
    {"frozen for ten minutes",
     [](Host& h) {
         h.silent();
         h.frozen(now - 600'000);
     },
     "kill:fenced_too_long"},
    {"frozen time does not count against the longest duration",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.max_duration_ms = 9000; });
         h.frozen(now - 1001);
         h.record().meter.accumulated_ms = 8999;
     },
     "resume"},

    // Checkpoints.
    {"nothing was saved for as long as the interval", [](Host& h) { h.saves(10'000); }, "save_checkpoint"},
    {"a save began a moment ago",
     [](Host& h) {
         h.saves(10'000);
         h.record().checkpoint_boot_ms = now - 9'999;
     },
     ""},
    {"the interval is not over", [](Host& h) { h.saves(10'001); }, ""},
    {"a save is under way",
     [](Host& h) {
         h.saves(10'000);
         h.seen().checkpoint_lane_busy = h.seen().saving_running = true;
     },
     ""},
    {"a save is due while the server is silent",
     [](Host& h) {
         h.saves(10'000);
         h.silent();
     },
     ""},
    {"a save is due of a container that is frozen",
     [](Host& h) {
         h.saves(10'000);
         h.frozen(now - 1000);
         h.desired.asked_boot_ms = now - 2000;
     },
     ""},
    {"a save is due of a job that has been told to stop",
     [](Host& h) {
         h.saves(10'000);
         h.record().terminated_boot_ms = now - 1;
     },
     ""},
    {"a job has ended by itself: nothing is saved",
     [](Host& h) {
         h.saves(10'000);
         h.through();
     },
     "remove"},
    {"a job that was stopped is saved before anything goes",
     [](Host& h) {
         h.saves(10'000);
         h.through();
         h.record().stop_cause = StopCause::reclaimed;
     },
     "save_last_checkpoint"},
    {"its save is under way",
     [](Host& h) {
         h.saves(10'000);
         h.through();
         h.record().stop_cause = StopCause::reclaimed;
         h.seen().checkpoint_lane_busy = true;
     },
     ""},
    {"it is saved",
     [](Host& h) {
         h.saves(10'000);
         h.through();
         h.record().stop_cause = StopCause::reclaimed;
         h.record().checkpoint_saved = true;
     },
     "remove"},
    {"a save is under way when the job ends: it is broken off first",
     [](Host& h) {
         h.saves(10'000);
         h.through();
         h.seen().checkpoint_lane_busy = h.seen().saving_running = true;
     },
     "cancel_checkpoint"},
    {"a save is under way when the lease is taken from us",
     [](Host& h) {
         h.saves(10'000);
         h.seen().checkpoint_lane_busy = h.seen().saving_running = true;
         h.desired.leases.clear();
     },
     "cancel_checkpoint"},

    // Epochs and orphans.
    {"the lease is no longer ours", [](Host& h) { h.desired.leases.clear(); }, "discard"},
    {"the lease is no longer ours, while preparing",
     [](Host& h) {
         h.desired.leases.clear();
         h.seen().engine_lane_busy = h.seen().preparing = true;
     },
     "cancel_prepare"},
    {"a newer epoch of the same lease", [](Host& h) { h.desired.leases[0].lease_epoch = 6; }, "discard"},
    {"an older epoch of the same lease says nothing",
     [](Host& h) {
         h.desired.leases[0].lease_epoch = 4;
         h.desired.leases[0].run = false;
     },
     ""},
    {"other terms of the same lease", [](Host& h) { h.desired.leases[0].nonce = "new"; }, "update"},
    {"a container of a lease nobody knows",
     [](Host& h) {
         h.observed.containers.push_back({"c9", "lease_x", 5, ContainerState::running});
     },
     "remove_orphan"},
    {"a container of our lease that the record does not name",
     [](Host& h) {
         h.observed.containers.push_back({"c9", lease_id, 4, ContainerState::running});
     },
     "remove_orphan"},
    {"a container just being made",
     [](Host& h) {
         h.fresh();
         h.record().accepted = true;
         h.seen().engine_lane_busy = h.seen().preparing = true;
         h.observed.containers = {{"c2", lease_id, 5, ContainerState::created}};
     },
     ""},
    {"nothing is an orphan before the server has told",
     [](Host& h) {
         h.observed.containers.push_back({"c9", "lease_x", 5, ContainerState::running});
         h.told = false;
     },
     ""},
};

}  // namespace

TEST_CASE("every situation has its actions") {
    for (const Row& row : rows) {
        Host host;
        row.change(host);
        INFO(row.situation);
        CHECK(plan(host) == row.actions);
    }
}

TEST_CASE("the orphan's container is named") {
    Host host;
    host.observed.containers.push_back({"c9", "lease_x", 5, ContainerState::exited});
    const auto actions = reconcile(&host.desired, host.observed, now, host.limits);
    REQUIRE(actions.size() == 1);
    CHECK(actions[0].container_id == "c9");
}

TEST_CASE("a start knows whether its container was just seen unstarted") {
    for (const ContainerState state : {ContainerState::created, ContainerState::running}) {
        Host host;
        host.record().started = host.record().running_reported = false;
        host.record().meter.counting = false;
        host.observed.containers[0].state = state;
        const auto actions = reconcile(&host.desired, host.observed, now, host.limits);
        REQUIRE(actions.size() == 1);
        CHECK(actions[0].kind == ActionKind::start);
        CHECK(actions[0].is_fresh == (state == ContainerState::created));
    }
}
