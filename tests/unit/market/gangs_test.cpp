// Orders over several hosts: filled whole or not at all, stopped whole, tried again whole.
#include <algorithm>
#include <random>

#include "market/explain.hpp"
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

struct Cluster {
    explicit Cluster(int count = 3, int cards = 2) {
        seller = world.organization("seller");
        renter = world.rich("renter");
        for (int i = 0; i < count; ++i) {
            hosts.push_back(world.host(seller, a_host().name("host-" + std::to_string(i)).cards(cards)));
            listings.push_back(world.listing(hosts.back(), a_listing().ask(usd(1, i))));
        }
    }
    /// The gang's leases by rank.
    std::vector<LeaseId> place(const OrderBuilder& order) {
        const OrderPlaced placed = world.place(renter, order);
        REQUIRE(placed.order.state == OrderState::filled);
        id = placed.order.id;
        std::vector<LeaseId> leases;
        for (const Lease& lease : placed.members)
            leases.push_back(lease.id);
        return leases;
    }
    [[nodiscard]] JobId job(LeaseId lease) const { return *world.lease(lease).job; }
    [[nodiscard]] std::string job_text(JobId job) const {
        const Job& row = world.job(job);
        return std::string(name_of(row.state)) +
               (row.reason ? " " + std::string(name_of(*row.reason)) : "");
    }
    World world;
    OrganizationId seller, renter;
    std::vector<HostId> hosts;
    std::vector<ListingId> listings;
    OrderId id;
};

}  // namespace

TEST_CASE("A gang takes the cheapest listings of as many hosts, in one decision") {
    Cluster market;
    const auto before = market.world.balance(market.renter, ledger::AccountKind::available);
    const auto leases = market.place(an_order().hosts(2).cards(2).job());
    REQUIRE(leases.size() == 2);
    CHECK(market.world.events() ==
          "job.queued job.queued order.placed job.assigned lease.allocated job.assigned lease.allocated "
          "order.filled");
    ledger::Micros held(0);
    for (std::int32_t rank = 0; rank < 2; ++rank) {
        const Lease& lease = market.world.lease(leases[static_cast<std::size_t>(rank)]);
        CHECK(lease.rank == rank);
        CHECK(lease.hosts == 2);
        CHECK(lease.host == market.hosts[static_cast<std::size_t>(rank)]);
        CHECK(lease.cards.size() == 2);
        CHECK(market.world.job(*lease.job).rank == rank);
        CHECK(market.world.job(*lease.job).lease == lease.id);
        held = held + lease.held;
    }
    CHECK(market.world.order(market.id).lease == leases[0]);
    CHECK(market.world.order(market.id).job == market.job(leases[0]));
    CHECK(before - held == market.world.balance(market.renter, ledger::AccountKind::available));
}

TEST_CASE("A gang is filled whole or not at all") {
    Cluster market;
    const auto attempt = [&](const OrderBuilder& order) {
        return market.world.attempt(PlaceOrder(OrderBuilder(order).fill_or_kill()),
                                    World::by(market.renter));
    };
    CHECK(attempt(an_order().hosts(4)) == "no_match");
    CHECK(attempt(an_order().hosts(3).cards(3)) == "no_match");
    CHECK(attempt(an_order().hosts(3).price_max(usd(1, 1))) == "no_match");
    CHECK(market.world.state().live_leases().empty());
    CHECK(attempt(an_order().hosts(3).price_max(usd(1, 2))) == "ok");
    CHECK(market.world.state().live_leases().size() == 3);

    // Money for all of them, too.
    Cluster poor;
    const OrganizationId other = poor.world.organization("poor");
    poor.world.deposit(other, usd(1));
    CHECK(poor.world.attempt(PlaceOrder(an_order().hosts(1)), World::by(other)) == "ok");
    CHECK(poor.world.attempt(PlaceOrder(an_order().hosts(2)), World::by(other)) == "insufficient_funds");
}

TEST_CASE("A gang whose job has a network takes hosts that offer one, however dear") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.rich("renter");
    const auto add = [&](const char* name, const HostBuilder& host, std::int64_t cents) {
        return world.listing(world.host(seller, HostBuilder(host).name(name)),
                             a_listing().ask(usd(1, cents)));
    };
    add("silent", a_host(), 1);
    add("without", a_host().gang_network(false), 2);
    const ListingId first = add("first", a_host().gang_network(), 3);
    const auto order = [] { return an_order().hosts(2).gang_network().job().fill_or_kill(); };
    CHECK(world.attempt(PlaceOrder(order()), World::by(renter)) == "no_match");

    Order unmatched;
    unmatched.organization = renter;
    unmatched.requirements.gang_network = true;
    unmatched.hosts = 2;
    unmatched.price_max = ledger::Price(usd(2).count);
    unmatched.term = hours(1);
    const Explanation explanation = explain(world.state(), unmatched, world.now());
    CHECK(explanation.left == 0);
    const ConstraintCount removed{Constraint::gang_network, {}, 2, 2};
    CHECK(std::ranges::count(explanation.constraints, removed) == 1);

    const ListingId second = add("second", a_host().gang_network(), 90);
    const OrderPlaced placed = world.place(renter, order());
    REQUIRE(placed.members.size() == 2);
    CHECK(placed.members[0].listing == first);
    CHECK(placed.members[1].listing == second);
    // It is asked for anew with each attempt.
    CHECK(world.order(placed.order.id).requirements.gang_network);
    CHECK(world.attempt(PlaceOrder(an_order().hosts(2).fill_or_kill()), World::by(renter)) == "ok");
}

TEST_CASE("A standing gang waits for the last of its hosts") {
    Cluster market(2);
    const LeaseId one = market.world.rent(market.renter, an_order().cards(2).job());
    const OrderId gang = market.world.place(market.renter, an_order().hosts(2).cards(2).job()).order.id;
    CHECK(market.world.order(gang).state == OrderState::standing);
    CHECK(market.world.state().jobs_of(gang).size() == 2);
    market.world.must<Lease>(EndLease{one}, World::by(market.renter));
    market.world.reported(one, AgentPhase::gone);
    CHECK(market.world.order(gang).state == OrderState::filled);
    CHECK(market.world.state().leases_of(gang).size() == 2);

    const OrderId late = market.world.place(market.renter, an_order().hosts(2).job()).order.id;
    std::vector<JobId> jobs;
    for (const auto& [rank, job] : market.world.state().jobs_of(late))
        jobs.push_back(job);
    market.world.must<Order>(CancelOrder{late}, World::by(market.renter));
    for (const JobId job : jobs)
        CHECK(market.job_text(job) == "cancelled");
    market.world.forget_final_rows();
    CHECK(market.world.state().find<Job>(jobs.at(1)) == nullptr);

    const OrderId expiring =
        market.world.place(market.renter, an_order().hosts(2).job().expires_in(minutes(1))).order.id;
    const JobId second = std::next(market.world.state().jobs_of(expiring).begin())->second;
    market.world.tick_after(minutes(1));
    CHECK(market.job_text(second) == "failed");
}

TEST_CASE("Losing one member stops the gang once, for one reason, and tries it again whole") {
    Cluster market(4);
    const auto leases = market.place(an_order().hosts(3).job("busybox", 2));
    for (const LeaseId lease : leases)
        market.world.run(lease);
    market.world.lost(market.hosts[1]);
    CHECK(market.world.phase(leases[1]) == "ended host_lost");
    for (const LeaseId other : {leases[0], leases[2]}) {
        CHECK(market.world.lease(other).stop_reason == EndReason::host_lost);
        CHECK(market.world.phase(other) == "running");
    }
    CHECK(market.job_text(market.job(leases[1])) == "running host_lost");
    // What fails beside it fails for the same reason, and none is tried again alone.
    market.world.exited(leases[0], 1);
    CHECK(market.world.phase(leases[0]) == "reclaiming host_lost");
    market.world.reported(leases[0], AgentPhase::gone);
    CHECK(market.job_text(market.job(leases[0])) == "running host_lost");
    market.world.tick_after(seconds(10));
    market.world.reported(leases[2], AgentPhase::gone);

    // Three hosts are left, and all three ranks run again.
    std::set<OrderId> orders;
    for (const LeaseId lease : leases) {
        const Job& job = market.world.job(market.job(lease));
        CHECK(job.state == JobState::assigned);
        CHECK(job.attempts == 2);
        orders.insert(*job.order);
    }
    REQUIRE(orders.size() == 1);
    const auto& again = market.world.state().leases_of(*orders.begin());
    REQUIRE(again.size() == 3);
    for (const auto& [rank, lease] : again) {
        CHECK(market.world.job(*market.world.lease(lease).job).rank == rank);
        CHECK(market.world.lease(lease).host != market.hosts[1]);
    }
}

TEST_CASE("How a gang ends") {
    for (const auto& row : text_table(R"(
        what                    | attempts | rank 0              | rank 1
        both complete           | 1        | succeeded completed | succeeded completed
        one fails               | 2        | failed command_failed | failed command_failed
        one fails after success | 2        | failed command_failed | failed command_failed
        lost, no attempt left   | 1        | failed host_lost    | failed host_lost
        lost, one attempt left  | 2        | queued host_lost    | queued host_lost
        cancelled               | 2        | cancelled cancelled_by_renter | cancelled cancelled_by_renter
        cancelled while stopping| 2        | cancelled cancelled_by_renter | cancelled cancelled_by_renter
        ended by its renter     | 2        | cancelled cancelled_by_renter | cancelled cancelled_by_renter
        reclaimed               | 2        | queued reclaimed_by_owner | queued reclaimed_by_owner
        never started           | 1        | failed start_timeout | failed start_timeout
    )")) {
        const std::string what = row["what"];
        INFO(what);
        Cluster market(2);
        World& world = market.world;
        const auto attempts = static_cast<std::int32_t>(row.number("attempts"));
        const auto leases = market.place(an_order().hosts(2).job("busybox", attempts));
        const std::vector<JobId> jobs{market.job(leases[0]), market.job(leases[1])};
        const Caller renter = World::by(market.renter);
        if (what == "never started") {
            world.run(leases[0]);
            world.tick_after(seconds(60));
            CHECK(world.phase(leases[1]) == "ended start_timeout");
            world.exited(leases[0], 1);
        } else {
            world.run(leases[0]);
            world.run(leases[1]);
        }
        if (what == "both complete" || what == "one fails after success") {
            world.exited(leases[0], 0);
            CHECK_FALSE(world.lease(leases[1]).stop_reason);
            world.reported(leases[0], AgentPhase::gone);
            world.forget_final_rows();
            CHECK(market.job_text(jobs[0]) == "running completed");
            world.exited(leases[1], what == "both complete" ? 0 : 1);
        }
        if (what == "one fails") {
            world.exited(leases[1], 7);
            CHECK(world.lease(leases[0]).stop_reason == EndReason::command_failed);
            world.exited(leases[0], 0);
        }
        if (what.starts_with("lost")) {
            world.lost(market.hosts[0]);
            world.exited(leases[1], 1);
        }
        if (what.starts_with("cancelled")) {
            if (what == "cancelled while stopping") world.lost(market.hosts[1]);
            CHECK(world.attempt(CancelJob{jobs[1]}, renter) == "ok");
            world.exited(leases[0], 0);
            if (what == "cancelled") world.exited(leases[1], 0);
        }
        if (what == "ended by its renter") {
            CHECK(world.attempt(EndLease{leases[0]}, renter) == "ok");
            world.exited(leases[0], 0);
            world.exited(leases[1], 0);
        }
        if (what == "reclaimed") {
            CHECK(world.attempt(ReclaimLease{leases[0]}, World::by(market.seller)) == "ok");
            CHECK(world.lease(leases[1]).stop_reason == EndReason::reclaimed_by_owner);
            CHECK(world.lease(leases[1]).reclaim_deadline == world.lease(leases[0]).reclaim_deadline);
            // Nowhere to go again: the seller's hosts take nothing new.
            for (const HostId host : market.hosts)
                CHECK(world.attempt(ChangeHost{host, HostAction::drain}, World::by(market.seller)) == "ok");
            world.exited(leases[0], 1);
            world.exited(leases[1], 1);
        }
        for (const LeaseId lease : leases) {
            const Lease* found = world.state().find<Lease>(lease);
            if (found != nullptr && found->state == LeaseState::reclaiming)
                world.reported(lease, AgentPhase::gone);
        }
        CHECK(market.job_text(jobs[0]) == row["rank 0"]);
        CHECK(market.job_text(jobs[1]) == row["rank 1"]);
    }
}

TEST_CASE("A settled gang leaves the memory with its last lease") {
    Cluster market(2);
    const auto leases = market.place(an_order().hosts(2).job());
    const std::vector<JobId> jobs{market.job(leases[0]), market.job(leases[1])};
    for (const LeaseId lease : leases)
        market.world.run(lease);
    for (const LeaseId lease : leases) {
        market.world.exited(lease, 0);
        market.world.reported(lease, AgentPhase::gone);
        market.world.forget_final_rows();
        CHECK(market.world.state().find<Lease>(lease) == nullptr);
    }
    CHECK(market.world.state().find<Order>(market.id) == nullptr);
    CHECK(market.world.state().find<Job>(jobs[0]) == nullptr);
    CHECK(market.world.state().find<Job>(jobs[1]) == nullptr);
}

TEST_CASE("A gang of rentals ends together, too") {
    Cluster market(2);
    const auto leases = market.place(an_order().hosts(2));
    const AttachJob attach{leases[1], JobRequest{"busybox", hours(1), 1, "{}"}};
    CHECK(market.world.attempt(attach, World::by(market.renter)) == "ok");
    market.world.run(leases[1]);
    CHECK(market.world.attempt(EndLease{leases[0]}, World::by(market.renter)) == "ok");
    CHECK(market.world.phase(leases[0]) == "ended cancelled_by_renter");
    CHECK(market.world.lease(leases[1]).stop_reason == EndReason::cancelled_by_renter);
}
