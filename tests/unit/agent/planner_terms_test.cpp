// What a job has asked for itself, as a table: its deadlines, its outputs saved while it runs, its health,
// an end when it is idle.
#include "planner_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
using Host = PlannedHost;

namespace {

void with_deadlines(Host& h) {
    h.want([](DesiredLease& d) {
        d.spec->pull_timeout_ms = 5000;
        d.spec->start_timeout_ms = 2000;
    });
    h.fresh();
    h.record().accepted = true;
}

void with_health(Host& h) {
    h.want([](DesiredLease& d) { d.spec->health = HealthSpec{{"true"}, 3000, 1000, 0, 2}; });
}

/// Looked at until now, and busy last so long ago.
void with_idle(Host& h, std::int64_t since_ms) {
    h.want([](DesiredLease& d) { d.spec->idle = IdleSpec{20, 8000}; });
    h.seen().use_sampled_boot_ms = now;
    h.seen().busy_boot_ms = now - since_ms;
}

void with_outputs(Host& h) {
    h.record().outputs = {"result"};
    h.want([](DesiredLease& d) { d.spec->output_interval_ms = 10'000; });
}

/// It was ended as it had asked, so long ago.
void ended_for(Host& h, StopCause cause, std::int64_t since_ms) {
    h.record().own_stop = cause;
    h.record().own_stop_boot_ms = now - since_ms;
}

const Row rows[] = {
    {"the image is awaited",
     [](Host& h) {
         with_deadlines(h);
         h.record().prepare_boot_ms = now - 4999;
         h.seen().engine_lane_busy = h.seen().preparing = true;
     },
     ""},
    {"the image is awaited for too long",
     [](Host& h) {
         with_deadlines(h);
         h.record().prepare_boot_ms = now - 5000;
         h.seen().engine_lane_busy = h.seen().preparing = true;
     },
     "cancel_prepare"},
    {"its pull was broken off",
     [](Host& h) {
         with_deadlines(h);
         h.record().prepare_boot_ms = now - 5000;
     },
     "fail_start"},
    {"a slow pull is no slow start",
     [](Host& h) {
         with_deadlines(h);
         h.record().prepare_boot_ms = now - 9000;
         h.record().image_boot_ms = now - 1999;
     },
     "prepare"},
    {"the start is late",
     [](Host& h) {
         with_deadlines(h);
         h.record().prepare_boot_ms = now - 9000;
         h.record().image_boot_ms = now - 2000;
         h.record().container_id = "c1";
         h.observed.containers = {{"c1", lease_id, 5, ContainerState::created}};
     },
     "fail_start"},
    {"once it runs no deadline of its start counts",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.spec->start_timeout_ms = 1; });
         h.record().prepare_boot_ms = h.record().image_boot_ms = now - 9000;
     },
     ""},
    {"secrets are given to an accepted lease only",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.spec->secrets = {"token"}; });
         h.fresh();
     },
     "report_accepted"},

    {"so is a login for the image's registry",
     [](Host& h) {
         h.want([](DesiredLease& d) { d.spec->registry_secret = "pull"; });
         h.fresh();
     },
     "report_accepted"},

    {"outputs are due", with_outputs, "save_outputs"},
    {"outputs were saved a moment ago",
     [](Host& h) {
         with_outputs(h);
         h.record().outputs_boot_ms = now - 9999;
     },
     ""},
    {"outputs are due of a job that is being stopped",
     [](Host& h) {
         with_outputs(h);
         h.record().terminated_boot_ms = now - 1;
     },
     ""},
    {"what is saved of a job that has ended is broken off before its last outputs go",
     [](Host& h) {
         with_outputs(h);
         h.exited();
         h.record().logs_drained = h.record().final_usage_stated = h.record().exit_reported = true;
         h.seen().checkpoint_lane_busy = h.seen().saving_running = true;
     },
     "cancel_checkpoint"},

    {"a health check is due", with_health, "check_health"},
    {"a health check was made a moment ago",
     [](Host& h) {
         with_health(h);
         h.seen().health_checked_boot_ms = now - 2999;
     },
     ""},
    {"a health check is under way",
     [](Host& h) {
         with_health(h);
         h.seen().watch_lane_busy = true;
     },
     ""},
    {"it has failed once",
     [](Host& h) {
         with_health(h);
         h.seen().health_checked_boot_ms = now - 1;
         h.seen().health_failures = 1;
     },
     ""},
    {"it has failed too often",
     [](Host& h) {
         with_health(h);
         h.seen().health_checked_boot_ms = now - 1;
         h.seen().health_failures = 2;
     },
     "stop_own:unhealthy"},
    {"nobody looks at what is frozen",
     [](Host& h) {
         with_health(h);
         h.frozen(now - 500);
         h.silent();
     },
     ""},
    {"the use is looked at every 5 s",
     [](Host& h) {
         with_idle(h, 100);
         h.seen().use_sampled_boot_ms = now - 5000;
     },
     "sample_use"},
    {"it was busy", [](Host& h) { with_idle(h, 7999); }, ""},
    {"it is idle", [](Host& h) { with_idle(h, 8000); }, "stop_own:idle"},
    {"it was started a moment ago, whatever was seen before",
     [](Host& h) {
         with_idle(h, 8000);
         h.record().started_boot_ms = now - 100;
     },
     ""},

    {"it is to end", [](Host& h) { ended_for(h, StopCause::unhealthy, 0); }, "terminate:unhealthy"},
    {"it has been told",
     [](Host& h) {
         ended_for(h, StopCause::idle, 9999);
         h.record().terminated_boot_ms = now - 9999;
     },
     ""},
    {"its grace is over",
     [](Host& h) {
         ended_for(h, StopCause::idle, 10'000);
         h.record().terminated_boot_ms = now - 10'000;
     },
     "kill:idle"},
    {"the server's wish comes first",
     [](Host& h) {
         ended_for(h, StopCause::unhealthy, 10'000);
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now + 1;
         });
     },
     "terminate:wanted"},
};

}  // namespace

TEST_CASE("what a job has asked for itself") {
    for (const Row& row : rows) {
        INFO(row.situation);
        PlannedHost host;
        row.change(host);
        CHECK(plan(host) == row.actions);
    }
}
