// A container that has ended by itself and is to be started again in its lease, as a table.
#include "planner_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
using Host = PlannedHost;

namespace {

/// Its log is sent and says so, and the delay is over.
void waits(Host& h) {
    h.record().restart = AwaitedRestart{{75, false, false}, 900, now, "", false};
    h.record().meter.counting = false;
    h.record().logs_drained = true;
    h.record().usage_stated_boot_ms = now;
    h.observed.containers[0].state = ContainerState::exited;
}

const Row rows[] = {
    {"the delay is over", waits, "ready_restart"},
    {"the delay is not over",
     [](Host& h) {
         waits(h);
         h.record().restart->due_boot_ms = now + 1;
     },
     ""},
    {"its output is not sent yet",
     [](Host& h) {
         waits(h);
         h.record().logs_drained = false;
         h.record().restart->line = "fallow: …\n";
     },
     ""},
    {"its log is to say so",
     [](Host& h) {
         waits(h);
         h.record().restart->line = "fallow: …\n";
         h.record().restart->due_boot_ms = now + 1;
     },
     "tell_restart"},
    {"something is being done with it",
     [](Host& h) {
         waits(h);
         h.seen().engine_lane_busy = true;
     },
     ""},
    {"the engine is out of reach",
     [](Host& h) {
         waits(h);
         h.observed.engine_reachable = false;
     },
     ""},
    {"the server is out of reach",
     [](Host& h) {
         waits(h);
         h.silent();
     },
     ""},
    {"the server has not said yet that it still wants it",
     [](Host& h) {
         waits(h);
         h.observed.contact_since_boot_ms = now - 1000;
     },
     ""},
    {"it is ready for its start",
     [](Host& h) {
         waits(h);
         h.record().restart->is_ready = true;
         h.observed.containers[0].state = ContainerState::created;
     },
     "start"},
    {"it is ready, and never had a network",
     [](Host& h) {
         waits(h);
         h.record().restart->is_ready = true;
     },
     "start"},
    {"an agent that was killed has made it ready by half",
     [](Host& h) {
         waits(h);
         h.observed.containers[0].state = ContainerState::created;
     },
     "give_up_restart"},
    {"an agent that was killed has started it",
     [](Host& h) {
         waits(h);
         h.observed.containers[0].state = ContainerState::running;
     },
     "start"},
    {"it was seen running before its end",
     [](Host& h) {
         waits(h);
         h.record().restart->due_boot_ms = now + 1;
         h.observed.containers[0].state = ContainerState::running;
     },
     ""},
    {"its container is gone",
     [](Host& h) {
         waits(h);
         h.observed.containers.clear();
     },
     "give_up_restart"},

    {"it is cancelled, with a grace that nobody needs",
     [](Host& h) {
         waits(h);
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now + 5000;
         });
     },
     "give_up_restart:wanted"},
    {"it is cancelled before its log is sent",
     [](Host& h) {
         waits(h);
         h.record().logs_drained = false;
         h.want([](DesiredLease& d) { d.run = false; });
     },
     "give_up_restart:wanted"},
    {"its owner takes a card: no notice is needed",
     [](Host& h) {
         waits(h);
         h.claimed({"GPU-1", now});
     },
     "reclaim:reclaimed"},
    {"its owner has taken a card",
     [](Host& h) {
         waits(h);
         h.record().reclaim_until_boot_ms = now;
     },
     "give_up_restart:reclaimed report_reclaimed"},
    {"its term is over",
     [](Host& h) {
         waits(h);
         h.want([](DesiredLease& d) { d.run_until_boot_ms = now; });
     },
     "give_up_restart:run_until"},
    {"its longest duration is used up",
     [](Host& h) {
         waits(h);
         h.record().meter.accumulated_ms = 5000;
         h.want([](DesiredLease& d) { d.max_duration_ms = 5000; });
     },
     "give_up_restart:duration"},

    {"what it has run is stated meanwhile, so that what is paid lasts",
     [](Host& h) {
         waits(h);
         h.record().restart->due_boot_ms = now + 1;
         h.record().usage_stated_boot_ms = now - 30'000;
     },
     "state_usage"},
    {"nobody looks at its health, or saves anything",
     [](Host& h) {
         waits(h);
         h.record().restart->due_boot_ms = now + 1;
         h.saves(1);
         h.want([](DesiredLease& d) { d.spec->health = HealthSpec{{"true"}, 3000, 1000, 0, 2}; });
     },
     ""},
    {"it runs again, and the server hears of it", [](Host& h) { h.record().restarts = 1; },
     "report_running"},
    {"the server has heard of it", [](Host& h) { h.record().restarts = h.record().restarts_reported = 2; },
     ""},
};

}  // namespace

TEST_CASE("a container that is to be started again") {
    for (const Row& row : rows) {
        INFO(row.situation);
        PlannedHost host;
        row.change(host);
        CHECK(plan(host) == row.actions);
    }
}
