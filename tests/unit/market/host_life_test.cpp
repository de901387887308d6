// How a host leaves the market: maintenance that is announced, drain, retirement; and the starts that a
// renter does not pay for.
#include "market/host_life.hpp"

#include "market/failed_starts.hpp"
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

/// A host with two cards, a notice of a minute.
struct Scene {
    explicit Scene(const ListingBuilder& offer = a_listing()) {
        seller = world.rich("seller");
        renter = world.rich("renter");
        host = world.host(seller, a_host().cards(2));
        listing = world.listing(host, ListingBuilder(offer));
    }
    std::string announce(Millis from, Millis until) {
        return world.attempt(AddMaintenance{host, world.now() + from, world.now() + until, "a new fan"},
                             World::by(seller));
    }
    std::string act(HostAction action) {
        return world.attempt(ChangeHost{host, action}, World::by(seller));
    }
    LeaseId rent(Millis term, std::int32_t attempts = 1) {
        return world.rent(renter, an_order().term(term).job("busybox", attempts));
    }
    LeaseId run(Millis term, std::int32_t attempts = 1) {
        const LeaseId id = rent(term, attempts);
        world.run(id);
        return id;
    }
    void end(LeaseId id) {
        world.exited(id, 0);
        world.reported(id, AgentPhase::gone);
    }
    [[nodiscard]] const Host& row() const { return world.host_row(host); }
    /// Nothing matched, or the term that was promised.
    std::string order(Millis term) {
        return world.attempt(an_order().term(term).fill_or_kill().job(), World::by(renter));
    }
    World world;
    OrganizationId seller, renter;
    HostId host;
    ListingId listing;
};

}  // namespace

TEST_CASE("No lease reaches into maintenance") {
    for (const auto& row : text_table(R"(
        now  | term | outcome
        0    | 60   | ok
        0    | 61   | no_match
        59   | 1    | ok
        60   | 1    | no_match
        119  | 1    | no_match
        120  | 1    | ok
        120  | 6000 | ok
    )")) {
        INFO(row["now"] << " " << row["term"]);
        Scene scene;
        REQUIRE(scene.announce(hours(1), hours(2)) == "ok");
        scene.world.tick_after(minutes(std::stoll(row["now"])));
        CHECK(scene.order(minutes(std::stoll(row["term"]))) == row["outcome"]);
    }
}

TEST_CASE("A lease made before maintenance ends before it, whatever its start took") {
    Scene scene;
    REQUIRE(scene.announce(hours(1), hours(2)) == "ok");
    const Time from = *scene.row().maintenance_from;
    const LeaseId id = scene.rent(hours(1));
    CHECK(scene.world.lease(id).ends_by == from - seconds(10));
    scene.world.pass(minutes(5));
    scene.world.run(id);
    scene.world.tick_after(from - seconds(10) - scene.world.now());
    CHECK(scene.world.lease(id).stop_reason == EndReason::term_reached);
}

TEST_CASE("A lease that runs is told of maintenance, stopped a notice before, and its job goes back") {
    Scene scene;
    const LeaseId id = scene.run(hours(10), 3);
    const JobId job = *scene.world.lease(id).job;
    REQUIRE(scene.announce(hours(2), hours(3)) == "ok");
    CHECK(scene.world.events() == "host.maintenance_announced lease.maintenance_announced");
    const Time from = *scene.row().maintenance_from;
    CHECK(scene.world.lease(id).maintenance_at == from);

    for (int i = 1; i <= 3; ++i) {
        scene.world.tick_after(minutes(30));
        scene.world.state_usage(id, minutes(30 * i));
    }
    scene.world.tick_after(minutes(29) - Millis(1));
    CHECK_FALSE(scene.world.lease(id).stop_reason);
    scene.world.tick_after(Millis(1));
    CHECK(scene.world.lease(id).stop_reason == EndReason::host_maintenance);
    CHECK(scene.world.lease(id).reclaim_deadline == from);
    scene.world.exited(id, 143);
    CHECK(scene.world.phase(id) == "reclaiming host_maintenance");
    scene.world.reported(id, AgentPhase::gone);
    CHECK(scene.world.job(job).state == JobState::queued);

    scene.world.tick_after(hours(1));
    CHECK(scene.world.job(job).state == JobState::queued);
    scene.world.tick_after(minutes(1));
    CHECK_FALSE(scene.row().maintenance_from);
    CHECK(scene.world.job(job).state == JobState::assigned);
}

TEST_CASE("An agent that stopped a lease by itself when maintenance began says so") {
    Scene scene;
    const LeaseId id = scene.run(hours(10));
    REQUIRE(scene.announce(hours(1), hours(2)) == "ok");
    scene.world.pass(hours(1));
    AgentReport report = scene.world.report(id, AgentPhase::exited);
    report.exit_code = 143;
    report.stop = StopCause::run_until;
    CHECK(scene.world.tell(report) == "ok");
    CHECK(scene.world.phase(id) == "reclaiming host_maintenance");
}

TEST_CASE("Maintenance that is taken back touches nobody") {
    Scene scene;
    const LeaseId id = scene.run(hours(10));
    REQUIRE(scene.announce(hours(1), hours(2)) == "ok");
    CHECK(scene.world.attempt(RemoveMaintenance{scene.host}, World::by(scene.seller)) == "ok");
    CHECK(scene.world.events() == "host.maintenance_removed lease.maintenance_removed");
    CHECK_FALSE(scene.world.lease(id).maintenance_at);
    scene.world.tick_after(minutes(30));
    scene.world.state_usage(id, minutes(30));
    scene.world.tick_after(minutes(30));
    CHECK_FALSE(scene.world.lease(id).stop_reason);
}

TEST_CASE("What is promised to renters comes before maintenance") {
    Scene scene(a_listing().committed(Time(1'800'000'000'000) + days(10)));
    SECTION("a committed lease") {
        scene.run(hours(10));
        CHECK(scene.announce(hours(1), hours(2)) == "committed");
        CHECK(scene.announce(hours(11), hours(12)) == "ok");
    }
    SECTION("a reservation, and the time to be clean after it") {
        Reserve block;
        block.price_max = ledger::Price(usd(2).count);
        block.term = hours(2);
        block.starts_at = scene.world.now() + hours(10);
        REQUIRE(scene.world.attempt(block, World::by(scene.renter)) == "ok");
        CHECK(scene.announce(hours(11), hours(20)) == "committed");
        CHECK(scene.announce(hours(12), hours(20)) == "committed");
        CHECK(scene.announce(hours(13), hours(20)) == "ok");
        block.starts_at = scene.world.now() + hours(14);
        CHECK(scene.world.attempt(block, World::by(scene.renter)) == "no_match");
        block.starts_at = scene.world.now() + hours(20);
        CHECK(scene.world.attempt(block, World::by(scene.renter)) == "ok");
    }
}

TEST_CASE("A drained host says when it is empty, and takes work again when it is resumed") {
    Scene scene;
    const LeaseId id = scene.run(hours(10));
    REQUIRE(scene.act(HostAction::drain) == "ok");
    CHECK_FALSE(scene.row().drained_at);
    CHECK(scene.order(hours(1)) == "no_match");
    scene.end(id);
    CHECK(scene.row().drained_at == scene.world.now());
    CHECK(scene.world.events().find("host.drained") != std::string::npos);
    REQUIRE(scene.act(HostAction::resume) == "ok");
    CHECK_FALSE(scene.row().drained_at);
    CHECK(scene.order(hours(1)) == "ok");
}

TEST_CASE("A host retires when its last lease is gone") {
    Scene scene;
    const LeaseId first = scene.run(hours(10));
    const LeaseId second = scene.run(hours(10));
    REQUIRE(scene.act(HostAction::retire) == "ok");
    CHECK(scene.row().state == HostState::draining);
    CHECK(scene.row().retiring);
    SECTION("by its leases' ends") {
        scene.end(first);
        CHECK(scene.row().state == HostState::draining);
        scene.end(second);
        CHECK(scene.row().state == HostState::retired);
        CHECK(scene.world.listing_row(scene.listing).state == ListingState::withdrawn);
    }
    SECTION("or with its host's, which is not waited for") {
        scene.world.lost(scene.host);
        CHECK(scene.row().state == HostState::retired);
        CHECK(scene.world.lease(first).released);
        CHECK(scene.world.phase(second) == "ended host_lost, released");
    }
    SECTION("unless it is resumed before") {
        scene.end(first);
        REQUIRE(scene.act(HostAction::resume) == "ok");
        scene.end(second);
        CHECK(scene.row().state == HostState::online);
    }
}

TEST_CASE("Starts that nobody pays for are counted against their renter") {
    Scene scene;
    World& world = scene.world;
    const auto fail = [&](EndReason reason) {
        const LeaseId id = scene.rent(hours(1));
        world.reported(id, AgentPhase::accepted);
        if (reason == EndReason::cancelled_by_renter) {
            CHECK(world.attempt(EndLease{id}, World::by(scene.renter)) == "ok");
        } else {
            AgentReport report = world.report(id, AgentPhase::failed);
            report.failure = reason;
            CHECK(world.tell(report) == "ok");
        }
        world.reported(id, AgentPhase::gone);
    };
    const std::int32_t most = world.state().rules().failed_starts_max;
    for (int i = 0; i < most; ++i)
        fail(i % 3 == 0   ? EndReason::image_pull_failed
             : i % 3 == 1 ? EndReason::start_failed
                          : EndReason::cancelled_by_renter);
    CHECK(world.state().at<Organization>(scene.renter).failed_starts == most);
    CHECK(scene.order(hours(1)) == "rate_limited");
    const LeaseId bare = world.rent(scene.renter, an_order());
    CHECK(world.attempt(AttachJob{bare, JobRequest{"busybox", hours(1), 1, "{}"}},
                        World::by(scene.renter)) == "rate_limited");

    world.tick_after(hours(1));
    CHECK(scene.order(hours(1)) == "ok");
}

TEST_CASE("A job that starts, or one at home, costs no start") {
    Scene scene;
    scene.end(scene.run(hours(1)));
    CHECK(scene.world.state().at<Organization>(scene.renter).failed_starts == 0);
    const LeaseId own = scene.world.rent(scene.seller, an_order().job());
    scene.world.reported(own, AgentPhase::accepted);
    AgentReport report = scene.world.report(own, AgentPhase::failed);
    report.failure = EndReason::start_failed;
    CHECK(scene.world.tell(report) == "ok");
    scene.world.reported(own, AgentPhase::gone);
    CHECK(scene.world.state().at<Organization>(scene.seller).failed_starts == 0);
}

TEST_CASE("The jobs of a renter who used up its starts wait with their orders") {
    Rules rules;
    rules.failed_starts_max = 1;
    World world(rules);
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.rich("renter");
    const HostId host = world.host(seller);
    world.listing(host);
    const LeaseId id = world.rent(renter, an_order().job("busybox", 3));
    const JobId job = *world.lease(id).job;
    world.reported(id, AgentPhase::accepted);
    AgentReport report = world.report(id, AgentPhase::failed);
    report.failure = EndReason::start_failed;
    CHECK(world.tell(report) == "ok");
    world.reported(id, AgentPhase::gone);
    CHECK(world.job(job).state == JobState::queued);
    world.tick_after(minutes(59));
    CHECK(world.job(job).state == JobState::queued);
    world.tick_after(minutes(1));
    CHECK(world.job(job).state == JobState::assigned);
}
