// Bids, promises and prices, one rule at a time. The rules are server/market/SPOT.md.
#include "market/spot.hpp"

#include "market/pools.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

struct Market {
    Market() {
        seller = world.rich("seller");
        ann = world.rich("ann");
        bob = world.rich("bob");
        cat = world.rich("cat");
        host = world.host(seller, a_host().cards(1));
        listing = world.listing(host, a_listing().ask(usd(2)).floor(usd(0, 50)).notice(minutes(2)));
    }
    OrderId bid(OrganizationId who, ledger::Micros price, std::int32_t cards = 1) {
        return world.place(who, an_order().bid(price).cards(cards).job("busybox", 5)).order.id;
    }
    LeaseId lease_of(OrderId order) { return *world.order(order).lease; }
    std::string change(OrganizationId who, OrderId order, ledger::Micros price) {
        return world.attempt(ChangeBid{order, ledger::Price(price.count)}, World::by(who));
    }
    void stop(LeaseId id) {
        AgentReport report = world.report(id, AgentPhase::exited);
        report.exit_code = 143;
        report.stop = StopCause::wanted;
        REQUIRE(world.tell(report) == "ok");
        world.reported(id, AgentPhase::gone);
    }
    void minute(LeaseId running) {
        world.tick_after(minutes(1));
        world.state_usage(running, world.now() - *world.lease(running).running_at);
    }
    World world;
    OrganizationId seller, ann, bob, cat;
    HostId host;
    ListingId listing;
};

std::int64_t price_of(const Lease& lease) {
    return lease.price.micros_per_hour;
}

}  // namespace

TEST_CASE("A pool is named after model and memory") {
    const struct {
        const char* product;
        std::int64_t vram;
        const char* expected;
    } rows[] = {
        {"Tesla T4", 15'843'721'216, "t4-16gib"},
        {"NVIDIA H100 80GB HBM3", 85'520'809'984, "h100-sxm-80gib"},
        {"NVIDIA GeForce RTX 4090D", 48 * gib(1), "rtx-4090d-48gib"},
        {"Some New-Card (2027)", gib(96), "some-new-card-2027-96gib"},
        {"  --  ", gib(1), "card-1gib"},
        {"Größe", 0, "gr-e-0gib"},
    };
    for (const auto& row : rows) {
        Card card;
        card.product = row.product;
        card.vram_bytes = row.vram;
        CHECK(spot_pool_name(card) == row.expected);
    }
    Card endless;
    endless.product = std::string(500, 'x');
    CHECK(spot_pool_name(endless).size() == limits::spot_pool_name_bytes_max);
}

TEST_CASE("A bid takes only what is offered for spot, from the floor on") {
    Market market;
    World& world = market.world;
    CHECK_FALSE(world.order(market.bid(market.ann, usd(0, 49))).lease);
    const LeaseId lease = market.lease_of(market.bid(market.bob, usd(0, 50)));
    CHECK(price_of(world.lease(lease)) == usd(0, 50).count);
    const HostId other = world.host(market.seller, a_host().name("no spot").cards(1));
    world.listing(other, a_listing().ask(usd(0, 10)));
    CHECK_FALSE(world.order(market.bid(market.cat, usd(0, 50))).lease);
}

TEST_CASE("What is held is held at the bid, and what is paid is the price") {
    Market market;
    World& world = market.world;
    const LeaseId lease = market.lease_of(market.bid(market.ann, usd(3)));
    CHECK(world.lease(lease).held ==
          ledger::cost_ceiling({ledger::Price(usd(3).count), 1000}, minutes(42)));
    world.run(lease);
    market.minute(lease);
    CHECK(world.lease(lease).meter.charged.count == usd(0, 50).count / 60);
}

TEST_CASE("A lease is displaced by a step, never by its own organization, and once") {
    Market market;
    World& world = market.world;
    const OrderId first = market.bid(market.ann, usd(1));
    const LeaseId lease = market.lease_of(first);
    world.run(lease);
    CHECK(world.order(market.bid(market.ann, usd(9))).promised.empty());
    CHECK(world.order(market.bid(market.bob, usd(1) + ledger::Micros(9999))).promised.empty());
    CHECK_FALSE(world.lease(lease).stop_reason);

    const OrderId winner = market.bid(market.bob, usd(1) + ledger::Micros(10'000));
    CHECK(world.lease(lease).stop_reason == EndReason::outbid);
    CHECK(world.lease(lease).reclaim_deadline == world.now() + minutes(2));
    CHECK(world.order(winner).promised == world.lease(lease).cards);

    // Cat is higher by a step and takes the promise over; the lease is not told again.
    const auto version = world.lease(lease).version;
    const OrderId better = market.bid(market.cat, usd(1, 10));
    CHECK(world.order(better).promised.size() == 1);
    CHECK(world.order(winner).promised.empty());
    CHECK(world.lease(lease).version == version);

    market.stop(lease);
    CHECK(world.order(better).state == OrderState::filled);
    CHECK(world.job_of(lease).state == JobState::queued);
    CHECK(world.order(*world.job_of(lease).order).price_max.micros_per_hour == usd(1).count);
}

TEST_CASE("A lease without a job ends, and one without attempts left fails") {
    Market market;
    World& world = market.world;
    const LeaseId rental = market.lease_of(world.place(market.ann, an_order().bid(usd(1))).order.id);
    market.bid(market.bob, usd(2));
    CHECK(world.phase(rental) == "ended outbid");
    world.reported(rental, AgentPhase::gone);
    const OrderId last = world.place(market.cat, an_order().bid(usd(3)).job("busybox", 1)).order.id;
    CHECK(world.order(last).promised.size() == 1);
}

TEST_CASE("A fixed price comes before every bid and is never displaced") {
    Market market;
    World& world = market.world;
    const LeaseId lease = market.lease_of(market.bid(market.ann, usd(50)));
    CHECK(world.attempt(an_order().price_max(usd(2)).fill_or_kill(), World::by(market.bob)) == "no_match");
    CHECK_FALSE(world.lease(lease).stop_reason);
    const OrderId fixed = world.place(market.bob, an_order().price_max(usd(2)).job()).order.id;
    CHECK(world.order(fixed).promised.size() == 1);
    CHECK(world.order(market.bid(market.cat, usd(90))).promised.empty());
    world.reported(lease, AgentPhase::gone);
    CHECK(world.order(fixed).state == OrderState::filled);
    CHECK(price_of(world.lease(market.lease_of(fixed))) == usd(2).count);
    CHECK_FALSE(world.lease(market.lease_of(fixed)).spot_floor);
    CHECK(world.order(market.bid(market.cat, usd(90))).promised.empty());
}

TEST_CASE("A promise ends with its order, its host or its listing, and the card is anybody's") {
    for (const std::string how : {"cancelled", "paused", "lost", "frozen"}) {
        INFO(how);
        Market market;
        World& world = market.world;
        const LeaseId lease = market.lease_of(market.bid(market.ann, usd(1)));
        const OrderId winner = market.bid(market.bob, usd(2));
        const CardId card = world.lease(lease).cards.front();
        REQUIRE(world.state().promised_to(card) == winner);
        if (how == "cancelled") world.must<Order>(CancelOrder{winner}, World::by(market.bob));
        if (how == "paused") {
            UpdateListing change;
            change.listing = market.listing;
            change.version = 1;
            change.terms.state = ListingState::paused;
            world.must<ListingView>(change, World::by(market.seller));
        }
        if (how == "lost") world.lost(market.host);
        if (how == "frozen")
            world.must<Freeze>(CreateFreeze{FreezeKind::organization, market.bob.text(), ""},
                               World::admin());
        world.tick();
        world.tick_after(minutes(1));
        // It may come to the one who was displaced, whose lease is ending anyway.
        CHECK(world.state().promised_to(card) != winner);
        CHECK_FALSE(world.order(winner).lease);
    }
}

TEST_CASE("An order of several cards displaces as many as it needs, and none when it cannot have all") {
    World world;
    const auto seller = world.rich("seller");
    const auto ann = world.rich("ann");
    const auto bob = world.rich("bob");
    const HostId host = world.host(seller, a_host().cards(4));
    world.listing(host, a_listing().ask(usd(2)).floor(usd(0, 50)));
    std::vector<LeaseId> leases;
    for (int i = 0; i < 3; ++i)
        leases.push_back(world.rent(ann, an_order().bid(usd(1, i * 10)).job()));
    CHECK(world.place(bob, an_order().bid(usd(1, 10)).cards(3).job()).order.promised.empty());
    const OrderId order = world.place(bob, an_order().bid(usd(1, 15)).cards(3).job()).order.id;
    CHECK(world.order(order).promised.size() == 3);
    CHECK(world.phase(leases[0]) == "ended outbid");
    CHECK(world.phase(leases[1]) == "ended outbid");
    CHECK(world.phase(leases[2]) == "allocated");
    CHECK(world.state().free_cards(world.lease(leases[0]).listing) == 0);
    world.reported(leases[1], AgentPhase::gone);
    CHECK(world.order(order).state == OrderState::standing);
    world.reported(leases[0], AgentPhase::gone);
    CHECK(world.order(order).state == OrderState::filled);
    CHECK(world.lease(*world.order(order).lease).cards.size() == 3);
}

TEST_CASE("Changing a bid is refused by name") {
    Market market;
    World& world = market.world;
    const LeaseId lease = market.lease_of(market.bid(market.ann, usd(1)));
    const OrderId running = world.lease(lease).order;
    const OrderId standing = market.bid(market.bob, usd(0, 40));
    const OrderId fixed = world.place(market.bob, an_order().price_max(usd(0, 1)).job()).order.id;
    CHECK(market.change(market.bob, running, usd(2)) == "not_found");
    CHECK(market.change(market.bob, fixed, usd(2)) == "wrong_state");
    CHECK(market.change(market.bob, standing, usd(0, 30)) == "wrong_state");
    CHECK(market.change(market.bob, standing, usd(900'000)) == "insufficient_funds");
    CHECK(market.change(market.ann, running, usd(900'000)) == "insufficient_funds");
    CHECK(market.change(market.bob, standing, usd(0, 40)) == "ok");
    CHECK(market.change(market.bob, standing, usd(0, 45)) == "ok");
    world.pass(minutes(9));
    CHECK(market.change(market.bob, standing, usd(0, 30)) == "wrong_state");
    world.pass(minutes(1));
    CHECK(market.change(market.bob, standing, usd(0, 30)) == "ok");
    world.must<Order>(CancelOrder{standing}, World::by(market.bob));
    CHECK(market.change(market.bob, standing, usd(2)) == "wrong_state");
    // The lease was not taken by its agent in time meanwhile; a bid ends with it.
    world.tick();
    CHECK(market.change(market.ann, running, usd(2)) == "wrong_state");
}

TEST_CASE(
    "A running lease's bid: the hold follows up, the price follows down, and no lower than the floor") {
    Market market;
    World& world = market.world;
    const OrderId order = market.bid(market.ann, usd(1));
    const LeaseId lease = market.lease_of(order);
    world.run(lease);
    market.bid(market.bob, usd(0, 90));
    market.minute(lease);
    CHECK(price_of(world.lease(lease)) == usd(0, 90).count);
    const auto held = world.lease(lease).held;
    CHECK(market.change(market.ann, order, usd(2)) == "ok");
    CHECK(world.lease(lease).held > held);
    world.pass(minutes(10));
    world.tick();
    CHECK(market.change(market.ann, order, usd(0, 49)) == "invalid_field");
    CHECK(market.change(market.ann, order, usd(0, 80)) == "ok");
    CHECK(price_of(world.lease(lease)) == usd(0, 80).count);
    // Bob's bid is higher than that by more than a step now.
    CHECK(world.lease(lease).stop_reason == EndReason::outbid);
}

TEST_CASE("The segments of a lease add up to its charge, and its receipt lists them") {
    Market market;
    World& world = market.world;
    world.set_fee(50'000);
    const LeaseId lease = market.lease_of(market.bid(market.ann, usd(2)));
    world.run(lease);
    market.minute(lease);
    const OrderId losing = market.bid(market.bob, usd(1));
    market.minute(lease);
    market.minute(lease);
    world.must<Order>(CancelOrder{losing}, World::by(market.bob));
    market.minute(lease);
    market.minute(lease);
    AgentReport report = world.report(lease, AgentPhase::exited);
    REQUIRE(world.tell(report) == "ok");
    world.reported(lease, AgentPhase::gone);
    std::vector<ledger::Segment> bill;
    for (const Entry& entry : world.last_entries())
        if (entry.event == "lease.ended") bill = entry.bill;
    REQUIRE(bill.size() == 3);
    Int128 numerator = 0;
    Millis running;
    for (const ledger::Segment& segment : bill) {
        numerator += static_cast<Int128>(segment.price.micros_per_hour) * segment.running.count * 1000;
        running = running + segment.running;
    }
    CHECK(bill[0].price.micros_per_hour == usd(0, 50).count);
    CHECK(bill[1].price.micros_per_hour == usd(1).count);
    CHECK(bill[2].price.micros_per_hour == usd(0, 50).count);
    CHECK(running == world.lease(lease).meter.running);
    CHECK(numerator == world.lease(lease).meter.numerator);
    world.forget_final_rows();
    CHECK(world.state().table<LeaseSegment>().empty());
}
