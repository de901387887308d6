// The planner when guests have left something in the memory of cards: nobody gets it, and nobody waits for
// it longer than is said.
#include "agent/scrub_plan.hpp"
#include "planner_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
using Host = PlannedHost;

namespace {

const std::string other_lease_id = "lease_00000000000000000000000002";

UsedCard& used(Host& h, const std::string& uuid = "GPU-1") {
    UsedCard card;
    card.uuid = uuid;
    h.observed.used_cards.push_back(card);
    return h.observed.used_cards.back();
}

/// One that could not be overwritten so often that it is not waited for, and the market knows.
UsedCard& stuck(Host& h, const std::string& uuid = "GPU-1") {
    UsedCard& card = used(h, uuid);
    card.failures = scrub_tries_max;
    card.is_withheld = true;
    return card;
}

/// Removed, and heard of but for that.
void removed(Host& h) {
    h.through();
    h.record().removed = true;
    h.observed.containers.clear();
}

/// Another lease that runs on parts of the same cards.
void add_neighbour(Host& h) {
    LeaseSeen seen = h.seen();
    seen.record.container_id = "c2";
    seen.record.desired.lease_id = other_lease_id;
    h.desired.leases.push_back(seen.record.desired);
    h.observed.containers.push_back({"c2", other_lease_id, 5, ContainerState::running});
    h.observed.leases.push_back(seen);
}

/// Prepared and confirmed: it would start now.
void ready(Host& h) {
    h.record().started = h.record().running_reported = false;
    h.record().meter.counting = false;
    h.observed.containers[0].state = ContainerState::created;
}

const Row rows[] = {
    {"a guest runs", [](Host& h) { used(h); }, ""},
    {"a guest runs, and is frozen",
     [](Host& h) {
         used(h);
         h.frozen(now - 500);
         h.silent();
     },
     ""},
    {"a guest is being started",
     [](Host& h) {
         used(h);
         ready(h);
         h.seen().engine_lane_busy = true;
     },
     ""},
    {"it has exited, which is not noted yet",
     [](Host& h) {
         used(h);
         h.observed.containers[0].state = ContainerState::exited;
     },
     "record_exit"},
    {"its exit is noted: before outputs and the last words",
     [](Host& h) {
         used(h);
         used(h, "GPU-2");
         h.exited();
         h.record().logs_drained = true;
     },
     "state_final_usage scrub scrub"},
    {"its exit is noted, and the server has told nothing since the start",
     [](Host& h) {
         used(h);
         h.exited();
         h.told = false;
     },
     "scrub"},
    {"the engine does not answer",
     [](Host& h) {
         used(h);
         h.exited();
         h.observed.engine_reachable = false;
     },
     ""},
    {"it is under way",
     [](Host& h) {
         used(h).is_scrubbing = true;
         h.exited();
     },
     ""},
    {"the next try is not due",
     [](Host& h) {
         used(h).next_try_boot_ms = now + 1;
         h.exited();
     },
     ""},
    {"removed: not gone before its cards are overwritten",
     [](Host& h) {
         used(h, "GPU-2").is_scrubbing = true;
         removed(h);
     },
     ""},
    {"removed: another lease's cards do not matter",
     [](Host& h) {
         used(h, "GPU-3").is_scrubbing = true;
         removed(h);
     },
     "report_gone"},
    {"removed and overwritten", [](Host& h) { removed(h); }, "report_gone"},
    {"removed: one card cannot be overwritten, another will be",
     [](Host& h) {
         stuck(h).next_try_boot_ms = now + 1;
         used(h, "GPU-2").is_scrubbing = true;
         removed(h);
     },
     ""},
    {"removed: none of its cards can be overwritten, which is tried again",
     [](Host& h) {
         stuck(h);
         removed(h);
     },
     "report_gone scrub"},
    {"removed: it cannot be overwritten, and the market would give it to others",
     [](Host& h) {
         stuck(h).is_withheld = false;
         removed(h);
     },
     "scrub"},
    {"removed, and its neighbour on the card runs: the memory is in use by the same renter",
     [](Host& h) {
         used(h);
         add_neighbour(h);
         h.through();
         h.record().removed = true;
         h.observed.containers.erase(h.observed.containers.begin());
     },
     "report_gone"},
    {"a neighbour of a running guest starts",
     [](Host& h) {
         used(h);
         add_neighbour(h);
         ready(h);
     },
     "start"},
    {"a lease of which another has had the card waits with its start",
     [](Host& h) {
         used(h).is_scrubbing = true;
         ready(h);
     },
     ""},
    {"it is prepared meanwhile",
     [](Host& h) {
         used(h).is_scrubbing = true;
         h.fresh();
         h.record().accepted = true;
     },
     "prepare"},
    {"it fails when the card cannot be overwritten",
     [](Host& h) {
         stuck(h).next_try_boot_ms = now + 1;
         ready(h);
     },
     "refuse_cards"},
    {"it fails before anything is prepared",
     [](Host& h) {
         stuck(h).is_scrubbing = true;
         h.fresh();
         h.record().accepted = true;
     },
     "refuse_cards"},
    {"a container runs that no record names: nobody knows whose memory it uses",
     [](Host& h) {
         used(h, "GPU-3");
         h.observed.containers.push_back({"c9", "lease_9", 1, ContainerState::running});
     },
     "remove_orphan"},
    {"a container is left that no record names, and does not run",
     [](Host& h) {
         used(h, "GPU-3");
         h.observed.containers.push_back({"c9", "lease_9", 1, ContainerState::exited});
     },
     "scrub remove_orphan"},
    {"nothing but the card is known any more: an agent was killed, its lease is forgotten",
     [](Host& h) {
         used(h);
         h.desired.leases.clear();
         h.observed.leases.clear();
         h.observed.containers.clear();
     },
     "scrub"},
    {"a lease taken from us while it ran: its guest goes first",
     [](Host& h) {
         used(h);
         h.desired.leases.clear();
     },
     "discard"},
    {"the owner waits, and it is overwritten first",
     [](Host& h) {
         used(h);
         h.exited();
         h.reclaimed(now - owner_waits_ms + 1);
         h.record().reclaim_reported = true;
     },
     "scrub"},
    {"the owner has waited long enough: it is broken off",
     [](Host& h) {
         used(h).is_scrubbing = true;
         removed(h);
         h.reclaimed(now - owner_waits_ms);
         h.record().reclaim_reported = true;
     },
     "report_gone abandon_scrub"},
    {"the card is its owner's, and is left alone",
     [](Host& h) {
         used(h);
         removed(h);
         h.reclaimed(now - owner_waits_ms);
         h.record().reclaim_reported = true;
     },
     "report_gone"},
    {"the owner comes while it is tried again and again: at once",
     [](Host& h) {
         stuck(h, "GPU-3").is_scrubbing = true;
         h.claimed({"GPU-3", now});
     },
     "abandon_scrub"},
    {"the owner's policy keeps the card back: it is overwritten all the same",
     [](Host& h) {
         used(h, "GPU-3");
         h.claimed({"GPU-3", 0, false});
     },
     "scrub"},
    {"kept back, and it cannot be overwritten: whoever uses it is left alone",
     [](Host& h) {
         stuck(h, "GPU-3");
         h.claimed({"GPU-3", 0, false});
     },
     ""},
    {"given back by its owner: it is overwritten before a guest comes", [](Host& h) { stuck(h, "GPU-3"); },
     "scrub"},
};

}  // namespace

TEST_CASE("what is left in memory has its actions") {
    for (const Row& row : rows) {
        Host host;
        row.change(host);
        INFO(row.situation);
        CHECK(plan(host) == row.actions);
    }
}

TEST_CASE("each card is named by its own action") {
    Host host;
    host.exited();
    used(host, "GPU-2");
    const auto actions = reconcile(&host.desired, host.observed, now, host.limits);
    REQUIRE(actions.size() == 1);
    CHECK(actions[0].card_uuid == "GPU-2");
    CHECK(actions[0].lease_id.empty());
}

TEST_CASE("an owner has the card when it is overwritten, given up, or the wait is over") {
    struct Wait {
        const char* what;
        std::int64_t waited_ms;
        std::int64_t failures;
        bool is_scrubbing;
        bool is_ready;
    };
    for (const Wait& row :
         {Wait{"it has just ended", 0, 0, false, false}, Wait{"it is under way", 100, 0, true, false},
          Wait{"it has failed once", 100, 1, false, false},
          Wait{"it has failed too often", 100, scrub_tries_max, false, true},
          Wait{"that is tried once more", 100, scrub_tries_max, true, false},
          Wait{"the wait is over", owner_waits_ms, 0, false, true},
          Wait{"it is being broken off", owner_waits_ms, 0, true, false},
          Wait{"the driver does not let go", owner_waits_ms_max, 0, true, true}}) {
        Host host;
        UsedCard& card = used(host);
        card.failures = row.failures;
        card.is_scrubbing = row.is_scrubbing;
        host.exited();
        host.reclaimed(now - row.waited_ms);
        INFO(row.what);
        CHECK(may_have_it("GPU-1", host.observed, now) == row.is_ready);
    }
    CHECK(may_have_it("GPU-1", Host().observed, now));
}
