// Traffic: what a lease may send, what is held for it, and what is billed of what its host states.
#include "market/traffic.hpp"

#include "market/leases.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using ledger::AccountKind;

namespace {

constexpr std::int64_t mib(std::int64_t n) {
    return n << 20;
}

struct Scene {
    Scene() {
        seller = world.organization("seller");
        renter = world.rich("renter");
        host = world.host(seller, a_host().cards(4));
        // A GiB costs 0.64, so that 16 MiB cost a cent.
        listing = world.listing(host, a_listing().ask(usd(1)).egress(usd(0, 64)));
    }
    std::string attempt(const Command& command) { return world.attempt(command, World::by(renter)); }
    void set_egress(ListingId id, ledger::Micros price) {
        const UpdateListing change = a_change(id, world.listing_row(id).version).egress(price);
        static_cast<void>(world.must<ListingView>(change, World::by(seller)));
    }
    LeaseId rent(const PlaceOrder& order) { return world.rent(renter, order); }
    LeaseId running(PlaceOrder order) {
        if (!order.job) order.job = JobRequest{"busybox", hours(10), 1, "{}"};
        const LeaseId id = rent(order);
        world.run(id);
        return id;
    }
    /// What is held beside the price of the next window.
    std::int64_t held_for_traffic(LeaseId id) const {
        const Lease& lease = world.lease(id);
        Lease silent = lease;
        silent.egress_mib_max = silent.meter.egress_mib;
        return (lease.held - hold_wanted(world.state().rules(), silent, lease.price)).count;
    }
    void lose(LeaseId id) {
        world.lost(host);
        world.reported(id, AgentPhase::gone);
        world.back(host);
    }

    World world;
    OrganizationId seller, renter;
    HostId host;
    ListingId listing;
};

}  // namespace

TEST_CASE("Who names no traffic may send none where it costs something, and any where it costs nothing") {
    Scene scene;
    const LeaseId silent = scene.rent(an_order());
    CHECK(scene.world.lease(silent).egress_price == usd(0, 64));
    CHECK(scene.world.lease(silent).egress_mib_max == 0);
    CHECK(scene.held_for_traffic(silent) == 0);
    scene.set_egress(scene.listing, usd(0));
    const LeaseId free = scene.running(an_order());
    CHECK_FALSE(scene.world.lease(free).egress_mib_max);
    scene.world.pass(minutes(30));
    scene.world.state_usage(free, minutes(30), gib(5000) + 7);
    CHECK(scene.world.lease(free).meter.egress_mib == 5000 * 1024);
    CHECK(scene.world.lease(free).meter.charged == usd(0, 50));
}

TEST_CASE("Whole MiB are billed up to the limit, whose price is held from the start and given back") {
    Scene scene;
    World& world = scene.world;
    const auto before = world.balance(scene.renter, AccountKind::available);
    const LeaseId lease = scene.running(an_order().sending(2, usd(0, 64)).job());
    CHECK(world.lease(lease).egress_mib_max == 2048);
    CHECK(scene.held_for_traffic(lease) == usd(1, 28).count);
    world.pass(minutes(6));
    world.state_usage(lease, minutes(6), mib(17) - 1);
    CHECK(world.lease(lease).meter.egress_mib == 16);
    CHECK(world.lease(lease).meter.charged == usd(0, 11));
    CHECK(ledger::traffic_part(world.lease(lease).meter, usd(0, 64)) == usd(0, 1));
    world.pass(minutes(6));
    world.state_usage(lease, minutes(12), gib(9));
    CHECK(world.lease(lease).meter.egress_mib == 2048);
    CHECK(world.lease(lease).egress_bytes_claimed == gib(9));
    CHECK(world.lease(lease).meter.charged == usd(1, 48));
    CHECK(scene.held_for_traffic(lease) >= 0);
    world.exited(lease, 0);
    world.reported(lease, AgentPhase::gone);
    CHECK(world.balance(scene.renter, AccountKind::held).count == 0);
    CHECK(before - world.balance(scene.renter, AccountKind::available) == usd(1, 48));
}

TEST_CASE("A cumulative claim never falls, and an agent that says nothing of it leaves it") {
    Scene scene;
    World& world = scene.world;
    const LeaseId lease = scene.running(an_order().sending(1, usd(0, 64)));
    const Caller agent = world.agent_of(scene.host);
    world.pass(minutes(3));
    world.state_usage(lease, minutes(1), gib(3));
    CHECK(world.attempt(world.usage(lease, minutes(2), gib(3) - 1), agent) == "usage_not_monotone");
    world.state_usage(lease, minutes(2));
    CHECK(world.lease(lease).egress_bytes_claimed == gib(3));
    CHECK(world.lease(lease).meter.egress_mib == 1024);
    world.state_usage(lease, minutes(3), gib(3));
    CHECK(world.lease(lease).meter.egress_mib == 1024);
}

TEST_CASE("An overage pays for so much more, and no more is held than it") {
    Scene scene;
    const LeaseId lease = scene.rent(an_order().sending(1, usd(1)).overage(usd(0, 16) + ledger::Micros(1)));
    CHECK(scene.world.lease(lease).egress_mib_max == 1024 + 256);
    CHECK(scene.held_for_traffic(lease) == usd(0, 80).count);
    // Without GiB of its own, it needs no price limit: money is one.
    const LeaseId more = scene.rent(an_order().overage(usd(0, 1) - ledger::Micros(1)));
    CHECK(scene.world.lease(more).egress_mib_max == 15);
    scene.set_egress(scene.listing, ledger::Micros(1));
    const LeaseId cheap = scene.rent(an_order().overage(usd(100)));
    CHECK(scene.world.lease(cheap).egress_mib_max == limits::egress_mib_max);
    CHECK(scene.held_for_traffic(cheap) == limits::egress_mib_max / 1024 + 1);
}

TEST_CASE("An order that may send something says what a GiB may cost, and gets no dearer listing") {
    Scene scene;
    PlaceOrder order = an_order().fill_or_kill();
    order.egress_gib = 1;
    CHECK(scene.attempt(order) == "missing_field");
    order.egress_price_max = usd(0, 63);
    CHECK(scene.attempt(order) == "no_match");
    order.egress_price_max = usd(0, 64);
    CHECK(scene.attempt(order) == "ok");
    const auto standing = scene.world.place(scene.renter, an_order().sending(1, usd(0, 10)));
    CHECK(standing.order.state == OrderState::standing);
    scene.set_egress(scene.listing, usd(0, 10));
    const Order& filled = scene.world.order(standing.order.id);
    REQUIRE(filled.state == OrderState::filled);
    CHECK(scene.world.lease(*filled.lease).egress_price == usd(0, 10));
}

TEST_CASE("Who cannot pay the traffic of the cheapest card gets the first card that can be paid") {
    Scene scene;
    World& world = scene.world;
    const ListingId dearer =
        world.listing(world.host(scene.seller, a_host().name("dearer")), a_listing().ask(usd(2)));
    const OrganizationId poor = world.organization("poor");
    world.deposit(poor, usd(5));
    const PlaceOrder order = an_order().price_max(usd(3)).sending(10, usd(1));
    CHECK(world.lease(world.rent(poor, order)).listing == dearer);
    CHECK(world.attempt(order, World::by(poor)) == "insufficient_funds");
    CHECK(world.attempt(PlaceOrder(an_order().price_max(usd(0, 1)).sending(10, usd(1))), World::by(poor)) ==
          "insufficient_funds");
    CHECK(world.attempt(PlaceOrder(an_order().price_max(usd(0, 1)).sending(10, usd(0))), World::by(poor)) ==
          "ok");
}

TEST_CASE("What is held for traffic pays for no time, and time never takes it") {
    Scene scene;
    World& world = scene.world;
    const OrganizationId poor = world.organization("poor");
    world.deposit(poor, usd(65));
    const LeaseId lease = world.rent(poor, an_order().sending(100, usd(1)).job());
    world.run(lease);
    // 64.00 is held for traffic, and at the start 41 minutes of 1.00 an hour; the rest tops that up.
    world.pass(minutes(20));
    world.state_usage(lease, minutes(20), 0);
    CHECK(world.balance(poor, AccountKind::available) < usd(0, 10));
    Millis ran = minutes(20);
    while (world.lease(lease).state == LeaseState::running) {
        world.pass(minutes(5));
        ran = ran + minutes(5);
        static_cast<void>(
            world.attempt(world.usage(lease, ran, gib(ran.count / 60'000)), world.agent_of(scene.host)));
        world.tick();
    }
    CHECK(world.lease(lease).end_reason == EndReason::funds_exhausted);
    // An hour of the card, and every GiB that was sent until then.
    const ledger::Micros traffic = ledger::traffic_part(world.lease(lease).meter, usd(0, 64));
    CHECK(world.lease(lease).meter.running - hours(1) < Millis(4));
    CHECK(traffic == ledger::Micros(world.lease(lease).meter.egress_mib * 625));
    CHECK(world.lease(lease).meter.egress_mib >= 60 * 1024);
    CHECK(world.lease(lease).meter.charged == usd(1) + traffic);
}

TEST_CASE("A quote's GiB are the default and the most, at the quoted price; an overage comes on top") {
    Scene scene;
    World& world = scene.world;
    MakeQuote wanted;
    wanted.term = hours(1);
    wanted.moved_gib = 3;
    wanted.egress_price_max = usd(0, 63);
    CHECK(scene.attempt(wanted) == "no_match");
    wanted.egress_price_max = usd(0, 64);
    const auto quote = world.must<ledger::QuoteFacts>(wanted, World::by(scene.renter));
    CHECK(ledger::cost_of(quote).traffic == usd(1, 92));
    scene.set_egress(scene.listing, usd(9));
    PlaceOrder order;
    order.term = quote.term;
    order.expires_in = hours(1);
    order.quote = quote;
    const LeaseId all = scene.rent(order);
    CHECK(world.lease(all).egress_mib_max == 3 * 1024);
    CHECK(world.lease(all).egress_price == usd(0, 64));
    order.egress_gib = 4;
    CHECK(scene.attempt(order) == "invalid_field");
    order.egress_gib = 1;
    order.overage_max = usd(0, 2);
    CHECK(world.lease(scene.rent(order)).egress_mib_max == 1024 + 32);
}

TEST_CASE("The next attempt may send what those before it have left") {
    Scene scene;
    World& world = scene.world;
    const LeaseId first =
        scene.running(an_order().sending(1, usd(0, 64)).overage(usd(0, 4)).job("busybox", 5));
    const JobId job = *world.lease(first).job;
    world.pass(minutes(5));
    world.state_usage(first, minutes(5), mib(1000));
    scene.lose(first);
    const LeaseId second = *world.job(job).lease;
    REQUIRE(second != first);
    CHECK(world.lease(second).egress_mib_max == 24 + 64);
    CHECK(world.order(world.lease(second).order).traffic_used == TrafficUsed{1000, usd(0)});
    world.run(second);
    world.pass(minutes(5));
    world.state_usage(second, minutes(5), mib(40));
    scene.lose(second);
    const LeaseId third = *world.job(job).lease;
    CHECK(world.order(world.lease(third).order).traffic_used == TrafficUsed{1024, usd(0, 1)});
    CHECK(world.lease(third).egress_mib_max == 48);
    // What costs nothing uses up nothing.
    scene.set_egress(scene.listing, usd(0));
    scene.lose(third);
    const LeaseId fourth = *world.job(job).lease;
    CHECK_FALSE(world.lease(fourth).egress_mib_max);
    world.run(fourth);
    world.pass(minutes(5));
    world.state_usage(fourth, minutes(5), gib(100));
    scene.set_egress(scene.listing, usd(0, 32));
    scene.lose(fourth);
    CHECK(world.lease(*world.job(job).lease).egress_mib_max == 96);
}

TEST_CASE("Each host of a gang sends by itself, and its next attempt goes by the one that sent most") {
    Scene scene;
    World& world = scene.world;
    const HostId other = world.host(scene.seller, a_host().name("other"));
    world.listing(other, a_listing().ask(usd(1)).egress(usd(0, 32)));
    const auto placed = world.place(scene.renter, an_order().hosts(2).sending(1, usd(1)).job("busybox", 3));
    REQUIRE(placed.members.size() == 2);
    for (const Lease& lease : placed.members) {
        CHECK(world.lease(lease.id).egress_mib_max == 1024);
        world.run(lease.id);
    }
    world.pass(minutes(5));
    for (const Lease& lease : placed.members)
        world.state_usage(lease.id, minutes(5), mib(lease.host == other ? 300 : 100));
    // The one that sent most is gone, and forgotten, before the other ends.
    const LeaseId most = placed.members[placed.members[0].host == other ? 0 : 1].id;
    const LeaseId rest = placed.members[placed.members[0].host == other ? 1 : 0].id;
    AgentReport passing = world.report(most, AgentPhase::exited);
    passing.exit_code = 75;
    passing.is_temporary = true;
    REQUIRE(world.tell(passing) == "ok");
    world.reported(most, AgentPhase::gone);
    world.forget_final_rows();
    REQUIRE(world.state().find<Lease>(most) == nullptr);
    world.exited(rest, 1);
    world.reported(rest, AgentPhase::gone);
    const Order& again = world.order(*world.job(*placed.order.job).order);
    REQUIRE(again.id != placed.order.id);
    CHECK(again.traffic_used == TrafficUsed{300, usd(0)});
    for (const auto& [rank, id] : world.state().leases_of(again.id))
        CHECK(world.lease(id).egress_mib_max == 724);
}

TEST_CASE("A bid is for cards: traffic is paid on top of it") {
    Scene scene;
    World& world = scene.world;
    const ListingId spot = world.listing(world.host(scene.seller, a_host().name("spot")),
                                         a_listing().ask(usd(5)).floor(usd(0, 40)).egress(usd(0, 64)));
    const LeaseId lease = scene.running(an_order().on(spot).bid(usd(0, 50)).sending(1, usd(1)));
    CHECK(world.lease(lease).held.count == usd(0, 64).count + 500'000 * 41 / 60 + 1);
    world.pass(minutes(6));
    world.state_usage(lease, minutes(6), mib(32));
    CHECK(world.lease(lease).meter.charged == usd(0, 6));
}

TEST_CASE("A job that is brought to a rental changes nothing of its traffic") {
    Scene scene;
    const LeaseId lease = scene.rent(an_order().sending(2, usd(1)));
    const ledger::Micros held = scene.world.lease(lease).held;
    CHECK(scene.attempt(AttachJob{lease, JobRequest{"busybox", hours(1), 1, "{}"}}) == "ok");
    CHECK(scene.world.lease(lease).egress_mib_max == 2048);
    CHECK(scene.world.lease(lease).held == held);
}

namespace {

struct Reserved : Scene {
    Reserved() {
        world.deposit(seller, usd(100));
        committed =
            world.listing(world.host(seller, a_host().name("committed").cards(3)),
                          a_listing().ask(usd(1)).egress(usd(0, 64)).committed(world.now() + days(9)));
    }
    ReservationId book(OrganizationId by, std::int64_t moved_gib) {
        MakeQuote wanted;
        wanted.requirements.listing = committed;
        wanted.term = hours(1);
        wanted.starts_at = world.now() + days(1);
        wanted.moved_gib = moved_gib;
        const auto quote = world.must<ledger::QuoteFacts>(wanted, World::by(by));
        Reserve reserve;
        reserve.requirements.listing = committed;
        reserve.term = wanted.term;
        reserve.starts_at = *wanted.starts_at;
        reserve.price_max = ledger::Price(usd(1).count);
        if (moved_gib > 0) reserve.quote = quote;
        return world.must<Reservation>(reserve, World::by(by)).id;
    }
    const Lease& lease_of(ReservationId id) {
        return world.lease(*world.state().at<Reservation>(id).lease);
    }

    ListingId committed;
};

}  // namespace

TEST_CASE("A reserved block may send what its quote says, which is held when it starts") {
    Reserved scene;
    World& world = scene.world;
    const OrganizationId poor = world.organization("poor");
    world.deposit(poor, usd(2));
    const ReservationId quoted = scene.book(scene.renter, 2);
    const ReservationId plain = scene.book(scene.renter, 0);
    const ReservationId short_of = scene.book(poor, 5);
    CHECK(world.state().at<Reservation>(quoted).egress_price == usd(0, 64));
    CHECK(world.state().at<Reservation>(quoted).egress_gib == 2);
    CHECK(world.state().at<Reservation>(quoted).deposit == world.state().at<Reservation>(plain).deposit);
    scene.set_egress(scene.committed, usd(7));
    world.tick_after(days(1));
    CHECK(scene.lease_of(quoted).egress_mib_max == 2048);
    CHECK(scene.lease_of(quoted).egress_price == usd(0, 64));
    CHECK(scene.held_for_traffic(scene.lease_of(quoted).id) == usd(1, 28).count);
    CHECK(scene.lease_of(plain).egress_mib_max == 0);
    // 2.00 less 41 minutes of 1.00 an hour: so far does the money reach.
    CHECK(scene.lease_of(short_of).egress_mib_max == (2'000'000 - 683'334) * 1024 / 640'000);
    CHECK(world.balance(poor, AccountKind::available).count < 625);
    CHECK(world.state().at<Reservation>(short_of).state == ReservationState::started);
}
