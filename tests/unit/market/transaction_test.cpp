// What a decision leaves behind: entries, rows to write, who may see them, what is forgotten.
#include "market/transaction.hpp"

#include "support/market_world.hpp"
#include "support/row_text.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

struct Market {
    Market() {
        seller = world.organization("seller");
        renter = world.rich("renter");
        host = world.host(seller, a_host().cards(2));
        listing = world.listing(host);
    }
    World world;
    OrganizationId seller, renter;
    HostId host;
    ListingId listing;
};

/// What is left of a market in memory: "orders 1, leases 1, jobs 1".
std::string kept(const World& world) {
    const State& state = world.state();
    return "orders " + std::to_string(state.table<Order>().size()) + ", leases " +
           std::to_string(state.table<Lease>().size()) + ", jobs " +
           std::to_string(state.table<Job>().size());
}

}  // namespace

TEST_CASE("A row that one batch changes often is written once, in its final form") {
    Market market;
    World& world = market.world;
    std::vector<Entry> batch;
    const auto keep = [&] {
        batch.insert(batch.end(), world.last_entries().begin(), world.last_entries().end());
    };
    const LeaseId lease = world.rent(market.renter, an_order().job());
    keep();
    world.reported(lease, AgentPhase::accepted);
    keep();
    world.reported(lease, AgentPhase::running);
    keep();
    world.exited(lease, 0);
    keep();
    world.reported(lease, AgentPhase::gone);
    keep();
    const Changes changes = coalesce(batch);
    REQUIRE(changes.leases.inserts.size() == 1);
    CHECK(row_text(changes.leases.inserts[0]) == row_text(world.lease(lease)));
    CHECK(changes.leases.updates.empty());
    REQUIRE(changes.jobs.inserts.size() == 1);
    CHECK(changes.jobs.inserts[0].state == JobState::succeeded);
    REQUIRE(changes.orders.inserts.size() == 1);
    CHECK(changes.orders.inserts[0].state == OrderState::filled);
    REQUIRE(changes.lease_cards.inserts.size() == 1);
    CHECK(changes.lease_cards.inserts[0].released);
    CHECK(changes.transfers.inserts.size() == 2);
    CHECK(changes.job_specs.inserts.size() == 1);
    CHECK(changes.accounts.empty());
    CHECK(changes.cards.empty());
}

TEST_CASE("What a batch makes and removes again is not written at all") {
    World world;
    const Freeze freeze = world.must<Freeze>(CreateFreeze{FreezeKind::image, "bad", ""}, World::admin());
    std::vector<Entry> batch = world.last_entries();
    world.must<Done>(RemoveFreeze{freeze.id}, World::admin());
    CHECK(coalesce(world.last_entries()).freezes.removes.size() == 1);
    batch.insert(batch.end(), world.last_entries().begin(), world.last_entries().end());
    CHECK(coalesce(batch).freezes.empty());
}

TEST_CASE("The events of an order's life, in their order") {
    Market market;
    World& world = market.world;
    const LeaseId lease = world.rent(market.renter, an_order().job());
    CHECK(world.events() == "job.queued order.placed job.assigned lease.allocated order.filled");
    world.reported(lease, AgentPhase::accepted);
    CHECK(world.events() == "lease.preparing");
    world.reported(lease, AgentPhase::running);
    CHECK(world.events() == "lease.running job.running");
    world.pass(minutes(1));
    world.state_usage(lease, minutes(1));
    CHECK(world.events() == "lease.metered");
    world.exited(lease, 0);
    CHECK(world.events() == "lease.reclaiming");
    world.reported(lease, AgentPhase::gone);
    CHECK(world.events() == "lease.ended lease.released job.succeeded");
}

TEST_CASE("An event names its reason and its actor, and raises its row's version by one") {
    Market market;
    World& world = market.world;
    const LeaseId lease = world.rent(market.renter, an_order().job());
    world.run(lease);
    CHECK(world.attempt(ReclaimLease{lease}, World::by(market.seller)) == "ok");
    REQUIRE(world.last_entries().size() == 1);
    const Entry& entry = world.last_entries().front();
    CHECK(entry.event == "lease.stopping");
    CHECK(entry.reason == "reclaimed_by_owner");
    CHECK(entry.actor == "key_1");
    CHECK(std::get<Lease>(*entry.after).version == std::get<Lease>(*entry.before).version + 1);
}

TEST_CASE("Who may see a row") {
    Market market;
    World& world = market.world;
    const LeaseId id = world.rent(market.renter, an_order().job());
    using Seen = std::vector<OrganizationId>;
    CHECK(audience(world.lease(id)) == Seen{market.renter, market.seller});
    CHECK(audience(world.job_of(id)) == Seen{market.renter});
    CHECK(audience(world.order(world.lease(id).order)) == Seen{market.renter});
    CHECK(audience(world.host_row(market.host)) == Seen{market.seller});
    CHECK(audience(world.listing_row(market.listing)) == Seen{market.seller});
    CHECK(audience(world.state().settings()).empty());
    CHECK(audience(Freeze{}).empty());
    CHECK(audience(LeaseCard{}).empty());
    CHECK(audience(world.database().transfers().back()) == Seen{market.renter, market.renter});
    Lease own = world.lease(id);
    own.seller = own.renter;
    CHECK(audience(own) == Seen{market.renter});
}

TEST_CASE("What no later command can change leaves the memory once it is durable") {
    Market market;
    World& world = market.world;
    SECTION("a lease with its order and its job, when its cards are released") {
        const LeaseId lease = world.rent(market.renter, an_order().job());
        world.run(lease);
        world.exited(lease, 0);
        world.forget_final_rows();
        CHECK(kept(world) == "orders 1, leases 1, jobs 1");
        world.reported(lease, AgentPhase::gone);
        world.forget_final_rows();
        CHECK(kept(world) == "orders 0, leases 0, jobs 0");
        world.forget_final_rows();
    }
    SECTION("a standing order with its job, when it is cancelled") {
        const OrderId order = world.place(market.renter, an_order().price_max(usd(0, 50)).job()).order.id;
        world.forget_final_rows();
        CHECK(kept(world) == "orders 1, leases 0, jobs 1");
        CHECK(world.attempt(CancelOrder{order}, World::by(market.renter)) == "ok");
        world.forget_final_rows();
        CHECK(kept(world) == "orders 0, leases 0, jobs 0");
    }
    SECTION("but not a job that went on to another attempt") {
        const LeaseId first = world.rent(market.renter, an_order().job("busybox", 2));
        const JobId job = *world.lease(first).job;
        CHECK(world.attempt(ReclaimLease{first}, World::by(market.seller)) == "ok");
        CHECK(world.job(job).attempts == 2);
        world.reported(first, AgentPhase::gone);
        world.forget_final_rows();
        CHECK(kept(world) == "orders 1, leases 1, jobs 1");
        const LeaseId second = *world.job(job).lease;
        world.run(second);
        world.exited(second, 0);
        world.reported(second, AgentPhase::gone);
        world.forget_final_rows();
        CHECK(kept(world) == "orders 0, leases 0, jobs 0");
    }
}

TEST_CASE("Forgetting looks at what is durable, not at what was decided since") {
    Market market;
    World& world = market.world;
    world.place(market.renter, an_order());
    const LeaseId first = world.rent(market.renter, an_order().job("busybox", 2));
    const JobId job = *world.lease(first).job;
    // The host is full and drains: the job goes back to the queue, and its old lease is gone.
    CHECK(world.attempt(ChangeHost{market.host, HostAction::drain}, World::by(market.seller)) == "ok");
    CHECK(world.attempt(ReclaimLease{first}, World::by(market.seller)) == "ok");
    REQUIRE(world.job(job).state == JobState::queued);
    world.reported(first, AgentPhase::gone);
    const std::vector<Entry> durable = world.last_entries();

    // Decided on top, not durable yet: the renter cancels. Forgetting the first must leave the job for the
    // undo.
    State state = world.state();
    const Context context{world.now(), RawId{1, 99}, 1, World::by(market.renter)};
    const Decision later = decide(state, CancelJob{job}, context);
    REQUIRE(later.outcome);
    for (const Entry& entry : durable)
        if (entry.after) forget_if_final(state, *entry.after);
    REQUIRE(state.find<Job>(job) != nullptr);
    undo(state, later.entries);
    CHECK(state.at<Job>(job).state == JobState::queued);
}

TEST_CASE("Ids and nonces come from the seed that a command brings") {
    const auto place = [](std::uint64_t seed) {
        Market market;
        State state = market.world.state();
        const Context context{market.world.now(), RawId{4, seed}, 1, World::by(market.renter)};
        const Decision decision = decide(state, PlaceOrder(an_order()), context);
        return std::get<OrderPlaced>(*decision.outcome).lease->nonce;
    };
    CHECK(place(1) == place(1));
    CHECK(place(1) != place(2));
}
