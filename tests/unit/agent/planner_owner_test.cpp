// The planner when the owner of the host takes a card: the owner goes before the server.
#include "planner_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
using Host = PlannedHost;

namespace {

const Row rows[] = {
    {"the owner takes a card of it",
     [](Host& h) {
         h.claimed({"GPU-2", now});
     },
     "reclaim:reclaimed"},
    {"the owner takes another card",
     [](Host& h) {
         h.claimed({"GPU-3", now});
     },
     ""},
    {"the owner takes a card, the server is silent and has told nothing since the start",
     [](Host& h) {
         h.claimed({"GPU-1", now});
         h.told = false;
         h.silent();
     },
     "reclaim:reclaimed"},
    {"the owner lets what runs go on",
     [](Host& h) {
         h.claimed({"GPU-1", now, false});
     },
     ""},
    {"the notice begins, and the server is told", [](Host& h) { h.reclaimed(now + 5000); },
     "terminate:reclaimed report_reclaimed"},
    {"the notice begins, and nobody can be told",
     [](Host& h) {
         h.reclaimed(now + 5000);
         h.seen().server_lane_busy = true;
     },
     "terminate:reclaimed"},
    {"within the notice",
     [](Host& h) {
         h.reclaimed(now + 1);
         h.record().terminated_boot_ms = now - 4999;
         h.record().reclaim_reported = true;
     },
     ""},
    {"the notice is over",
     [](Host& h) {
         h.reclaimed(now);
         h.record().terminated_boot_ms = now - 5000;
         h.record().reclaim_reported = true;
     },
     "kill:reclaimed"},
    {"the notice is over, offline and frozen",
     [](Host& h) {
         h.reclaimed(now);
         h.silent();
         h.frozen(now - 1000);
         h.seen().server_lane_busy = true;
     },
     "kill:reclaimed"},
    {"the owner is in a hurry: the notice is cut short",
     [](Host& h) {
         h.reclaimed(now + 4000);
         h.observed.claims[0].at_once = true;
     },
     "reclaim:reclaimed"},
    {"a second card of it, taken later, changes nothing",
     [](Host& h) {
         h.reclaimed(now + 4000);
         h.claimed({"GPU-2", now});
         h.record().terminated_boot_ms = now - 1000;
         h.record().reclaim_reported = true;
     },
     ""},
    {"the card is given back within the notice: the lease ends all the same",
     [](Host& h) {
         h.reclaimed(now);
         h.observed.claims.clear();
         h.record().terminated_boot_ms = now - 5000;
         h.record().reclaim_reported = true;
     },
     "kill:reclaimed"},
    {"the renter's own stop is over before the notice",
     [](Host& h) {
         h.reclaimed(now + 4000);
         h.want([](DesiredLease& d) {
             d.run = false;
             d.grace_until_boot_ms = now;
         });
         h.record().reclaim_reported = true;
     },
     "kill:wanted"},
    {"the money is used up within the notice",
     [](Host& h) {
         h.reclaimed(now + 4000);
         h.want([](DesiredLease& d) { d.paid_until_boot_ms = now; });
         h.record().reclaim_reported = true;
     },
     "kill:paid_until"},
    {"taken before it started: nothing starts",
     [](Host& h) {
         h.record().started = h.record().running_reported = false;
         h.record().meter.counting = false;
         h.observed.containers[0].state = ContainerState::created;
         h.claimed({"GPU-1", now - 60'000, false});
     },
     "reclaim:reclaimed"},
    {"taken before it started, and noted",
     [](Host& h) {
         h.record().started = h.record().running_reported = false;
         h.record().meter.counting = false;
         h.observed.containers[0].state = ContainerState::created;
         h.reclaimed(now);
     },
     "remove report_reclaimed"},
    {"taken while it was prepared",
     [](Host& h) {
         h.fresh();
         h.reclaimed(now);
         h.record().accepted = true;
         h.seen().engine_lane_busy = h.seen().preparing = true;
     },
     "cancel_prepare report_reclaimed"},
    {"a new lease on a card of the owner's is not accepted",
     [](Host& h) {
         h.fresh();
         h.reclaimed(now);
     },
     "remove report_reclaimed"},
    {"what has run before it was taken is told first",
     [](Host& h) {
         h.reclaimed(now + 4000);
         h.record().terminated_boot_ms = now - 1000;
         h.record().running_reported = false;
     },
     "report_running"},
    {"it ended by itself before the owner came",
     [](Host& h) {
         h.exited();
         h.record().logs_drained = true;
         h.claimed({"GPU-1", now});
     },
     "state_final_usage"},
    {"removed, and the server heard of it",
     [](Host& h) {
         h.fresh();
         h.reclaimed(now - 9000);
         h.record().removed = h.record().reclaim_reported = true;
     },
     "report_gone"},
};

}  // namespace

TEST_CASE("what the owner takes has its actions") {
    for (const Row& row : rows) {
        Host host;
        row.change(host);
        INFO(row.situation);
        CHECK(plan(host) == row.actions);
    }
}

TEST_CASE("the notice is that of the lease, counted from when the owner decided") {
    struct Notice {
        OwnerClaim claim;
        std::int64_t until;
    };
    for (const Notice& row :
         {Notice{{"GPU-1", now - 1000}, now + 4000}, Notice{{"GPU-1", now - 1000, true, true}, now - 1000},
          Notice{{"GPU-2", now}, now + 5000}}) {
        Host host;
        host.claimed(row.claim);
        const auto actions = reconcile(&host.desired, host.observed, now, host.limits);
        REQUIRE(actions.size() == 1);
        CHECK(actions[0].until_boot_ms == row.until);
        // And that is the moment that the container is told.
        host.record().reclaim_until_boot_ms = row.until;
        const auto then = reconcile(&host.desired, host.observed, now, host.limits);
        REQUIRE_FALSE(then.empty());
        CHECK(then[0].kind == (row.until > now ? ActionKind::terminate : ActionKind::kill));
        if (row.until > now) CHECK(then[0].until_boot_ms == row.until);
    }
}
