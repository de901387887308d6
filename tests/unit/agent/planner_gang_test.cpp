// When a gang's containers start: together, once each host has told where its end of the network is.
#include "planner_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
using Host = PlannedHost;

namespace {

GangMember member(std::int64_t rank) {
    return {rank, "key", "198.41.0.4:51820"};
}

/// Accepted and made; its job has a private network among two hosts, which that many have told of.
void with_gang(Host& h, std::int64_t told) {
    h.want([&](DesiredLease& d) {
        d.spec->has_gang_network = true;
        d.gang = Gang{0, 2, {}};
        for (std::int64_t rank = 0; rank < told; ++rank)
            d.gang->members.push_back(member(rank));
    });
    h.fresh();
    h.record().accepted = true;
    h.record().container_id = "c1";
    h.observed.containers = {{"c1", lease_id, 5, ContainerState::created}};
}

const Row rows[] = {
    {"its container is not made yet",
     [](Host& h) {
         with_gang(h, 0);
         h.record().container_id.clear();
         h.observed.containers.clear();
     },
     "prepare"},
    {"its container is made", [](Host& h) { with_gang(h, 0); }, "report_gang"},
    {"the other one was faster", [](Host& h) { with_gang(h, 1); }, "report_gang"},
    {"it was not accepted yet",
     [](Host& h) {
         with_gang(h, 0);
         h.record().accepted = false;
     },
     "report_accepted"},
    {"it has told, and waits for the other",
     [](Host& h) {
         with_gang(h, 1);
         h.record().gang_reported = true;
     },
     ""},
    {"all have told, but its own word was not heard", [](Host& h) { with_gang(h, 2); }, "report_gang"},
    {"all have told",
     [](Host& h) {
         with_gang(h, 2);
         h.record().gang_reported = true;
     },
     "start"},
    {"all have told while the server was out of reach",
     [](Host& h) {
         with_gang(h, 2);
         h.record().gang_reported = true;
         h.silent();
     },
     ""},
    {"the server is too old to tell",
     [](Host& h) {
         with_gang(h, 2);
         h.want([](DesiredLease& d) { d.gang.reset(); });
         h.record().gang_reported = true;
     },
     ""},
    {"the wait is longer than the job allows",
     [](Host& h) {
         with_gang(h, 1);
         h.want([](DesiredLease& d) { d.spec->start_timeout_ms = 2000; });
         h.record().gang_reported = true;
         h.record().prepare_boot_ms = now - 3000;
         h.record().image_boot_ms = now - 2000;
     },
     "fail_start"},
    {"it is told to stop while it waits",
     [](Host& h) {
         with_gang(h, 1);
         h.want([](DesiredLease& d) {
             d.run = false;
             d.spec.reset();
         });
         h.record().gang_reported = true;
     },
     "remove"},
    {"its owner takes the card while it waits",
     [](Host& h) {
         with_gang(h, 1);
         h.reclaimed(now);
     },
     "remove report_reclaimed"},
    {"a lease of several whose job has no such network",
     [](Host& h) {
         with_gang(h, 0);
         h.want([](DesiredLease& d) { d.spec->has_gang_network = false; });
     },
     "start"},
    {"it runs, and the others' ends are forgotten",
     [](Host& h) {
         h.want([](DesiredLease& d) {
             d.spec->has_gang_network = true;
             d.gang = Gang{0, 2, {}};
         });
         h.record().gang_reported = true;
     },
     ""},
};

}  // namespace

TEST_CASE("a gang's containers wait for each other") {
    for (const Row& row : rows) {
        INFO(row.situation);
        Host host;
        row.change(host);
        CHECK(plan(host) == row.actions);
    }
}
