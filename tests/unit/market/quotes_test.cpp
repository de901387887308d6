// Quotes: what they state, what they are good for, and that nothing placed with one costs more.
#include "market/quotes.hpp"

#include <random>

#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using ledger::AccountKind;
using ledger::QuoteFacts;

namespace {

struct Scene {
    Scene() {
        world.set_fee(50'000);
        seller = world.organization("seller");
        renter = world.rich("renter");
        other = world.rich("other");
        host = world.host(seller, a_host().cards(4));
        listing = world.listing(host, a_listing().ask(usd(1)));
    }
    QuoteFacts quote(const MakeQuote& wanted) { return world.must<QuoteFacts>(wanted, World::by(renter)); }
    static MakeQuote wanted(std::int32_t count = 1, Millis term = hours(2)) {
        MakeQuote command;
        command.count = count;
        command.term = term;
        return command;
    }
    static PlaceOrder order(const QuoteFacts& quote) {
        PlaceOrder command;
        command.count = quote.count;
        command.thousandths = quote.thousandths;
        command.hosts = static_cast<std::int32_t>(quote.hosts.size());
        command.term = quote.term;
        command.expires_in = days(7);
        command.quote = quote;
        return command;
    }
    void share_from(std::int32_t thousandths) {
        UpdateListing change;
        change.listing = listing;
        change.version = world.listing_row(listing).version;
        change.terms.share_min = thousandths;
        static_cast<void>(world.must<ListingView>(change, World::by(seller)));
    }
    void set_storage(ledger::Micros price) {
        UpdateListing change;
        change.listing = listing;
        change.version = world.listing_row(listing).version;
        change.terms.storage_price = price;
        static_cast<void>(world.must<ListingView>(change, World::by(seller)));
    }
    void set_egress(ledger::Micros price) {
        const UpdateListing change = a_change(listing, world.listing_row(listing).version).egress(price);
        static_cast<void>(world.must<ListingView>(change, World::by(seller)));
    }
    void set_ask(ledger::Micros ask, ListingState state = ListingState::open) {
        UpdateListing change;
        change.listing = listing;
        change.version = world.listing_row(listing).version;
        change.terms.ask = ledger::Price(ask.count);
        change.terms.state = state;
        static_cast<void>(world.must<ListingView>(change, World::by(seller)));
    }

    World world;
    OrganizationId seller, renter, other;
    HostId host;
    ListingId listing;
};

}  // namespace

TEST_CASE("A quote states the cheapest listing that fits, and changes nothing") {
    Scene scene;
    World& world = scene.world;
    const HostId dear = world.host(scene.seller, a_host().name("dear").cards(2).product("H200"));
    world.listing(dear, a_listing().ask(usd(3)));
    MakeQuote wanted = Scene::wanted(2);
    wanted.stored_gib = 50;
    wanted.moved_gib = 7;
    const QuoteFacts cheap = scene.quote(wanted);
    CHECK(world.last_entries().empty());
    REQUIRE(cheap.hosts.size() == 1);
    CHECK(cheap.hosts.front().listing == scene.listing);
    CHECK(cheap.hosts.front().seller == scene.seller);
    CHECK(cheap.renter == scene.renter);
    CHECK(cheap.hosts.front().price == ledger::Price(usd(1).count));
    CHECK(cheap.fee_ppm == 50'000);
    CHECK(cheap.stored_gib == 50);
    CHECK(cheap.moved_gib == 7);
    CHECK(cheap.expires_at - cheap.quoted_at == minutes(5));
    CHECK(ledger::cost_of(cheap).total == usd(4));
    wanted.requirements.products = {"H200"};
    CHECK(ledger::cost_of(scene.quote(wanted)).total == usd(12));
    wanted.price_max = ledger::Price(usd(2, 99).count);
    CHECK(world.attempt(wanted, World::by(scene.renter)) == "no_match");
}

TEST_CASE("A listing's storage and egress prices are in its quotes") {
    Scene scene;
    UpdateListing change;
    change.listing = scene.listing;
    change.version = 1;
    change.terms.storage_price = ledger::Micros(73'000);
    change.terms.egress_price = ledger::Micros(10'000);
    static_cast<void>(scene.world.must<ListingView>(change, World::by(scene.seller)));
    MakeQuote wanted = Scene::wanted(1, hours(10));
    wanted.stored_gib = 100;
    wanted.moved_gib = 3;
    const ledger::QuoteCost cost = ledger::cost_of(scene.quote(wanted));
    CHECK(cost.cards == usd(10));
    CHECK(cost.storage.count == 100'000);
    CHECK(cost.traffic.count == 30'000);
    CHECK(cost.total.count == 10'130'000);
}

TEST_CASE("An order with a quote pays the quoted price and fee, or a lower ask") {
    for (const auto& row : text_table(R"(
        ask then | fee then | price micros | fee ppm
        100      | 50000    | 1000000      | 50000
        250      | 50000    | 1000000      | 50000
        100      | 400000   | 1000000      | 50000
        250      | 0        | 1000000      | 50000
        60       | 400000   | 600000       | 50000
    )")) {
        Scene scene;
        const QuoteFacts quote = scene.quote(Scene::wanted(2));
        scene.set_ask(usd(0, row.number("ask then")));
        scene.world.set_fee(static_cast<std::int32_t>(row.number("fee then")));
        const LeaseId lease = scene.world.rent(scene.renter, Scene::order(quote));
        CHECK(scene.world.lease(lease).price.micros_per_hour == row.number("price micros"));
        CHECK(scene.world.lease(lease).fee_ppm == row.number("fee ppm"));
        const Order& order = scene.world.order(scene.world.lease(lease).order);
        CHECK(order.quote == quote.quote);
        CHECK(order.price_max == quote.hosts.front().price);
        CHECK(order.fill_or_kill);
    }
}

TEST_CASE("What a quote is not good for") {
    Scene scene;
    World& world = scene.world;
    const QuoteFacts quote = scene.quote(Scene::wanted(2));
    const auto attempt = [&](const PlaceOrder& order, OrganizationId by) {
        return world.attempt(order, World::by(by));
    };
    CHECK(attempt(Scene::order(quote), scene.other) == "invalid_field");
    PlaceOrder order = Scene::order(quote);
    order.count = 3;
    CHECK(attempt(order, scene.renter) == "invalid_field");
    order = Scene::order(quote);
    order.term = quote.term + Millis(1);
    CHECK(attempt(order, scene.renter) == "invalid_field");
    order = Scene::order(quote);
    order.requirements.products = {"another"};
    CHECK(attempt(order, scene.renter) == "no_match");
    scene.set_ask(usd(1), ListingState::paused);
    CHECK(attempt(Scene::order(quote), scene.renter) == "no_match");
    scene.set_ask(usd(1));
    world.pass(minutes(5));
    CHECK(attempt(Scene::order(quote), scene.renter) == "quote_expired");
}

TEST_CASE("A quote is good for less, and until its last millisecond") {
    Scene scene;
    const QuoteFacts quote = scene.quote(Scene::wanted(2));
    scene.world.pass(minutes(5) - Millis(1));
    PlaceOrder order = Scene::order(quote);
    order.count = 1;
    order.term = hours(1);
    const LeaseId lease = scene.world.rent(scene.renter, order);
    CHECK(scene.world.lease(lease).term == hours(1));
}

TEST_CASE("A quote holds no card") {
    Scene scene;
    const QuoteFacts quote = scene.quote(Scene::wanted(4));
    scene.world.rent(scene.other, an_order().cards(1));
    CHECK(scene.world.attempt(Scene::order(quote), World::by(scene.renter)) == "no_match");
    CHECK(scene.world.state().demands().empty());
}

TEST_CASE("A lost job goes on within its quote: at no higher price, and for what is left of its term") {
    Scene scene;
    World& world = scene.world;
    const QuoteFacts quote = scene.quote(Scene::wanted(1, minutes(60)));
    PlaceOrder order = Scene::order(quote);
    order.job = JobRequest{"busybox", hours(1), 3, "{}"};
    const LeaseId first = world.rent(scene.renter, order);
    const JobId job = *world.lease(first).job;
    world.run(first);
    world.pass(minutes(25));
    world.state_usage(first, minutes(25));
    scene.set_ask(usd(1, 10));
    world.lost(scene.host);
    CHECK(world.order(*world.job(job).order).term == minutes(35));
    CHECK_FALSE(world.order(*world.job(job).order).fill_or_kill);
    world.reported(first, AgentPhase::gone);
    world.back(scene.host);
    CHECK(world.job(job).state == JobState::queued);  // the quote is a limit now, and the ask is above it
    scene.set_ask(usd(0, 90));
    const LeaseId second = *world.job(job).lease;
    REQUIRE(second != first);
    CHECK(world.lease(second).price == ledger::Price(usd(0, 90).count));
    world.run(second);
    world.pass(minutes(34) + seconds(30));
    world.state_usage(second, minutes(34) + seconds(30));
    world.lost(scene.host);
    CHECK(world.job(job).state == JobState::failed);  // half a minute is no term
    CHECK(world.job(job).reason == EndReason::host_lost);
}

TEST_CASE("A quote for a share and one for several hosts are good for an order like them, or for less") {
    Scene scene;
    World& world = scene.world;
    const ListingId shared = world.listing(world.host(scene.seller, a_host().name("shared")),
                                           a_listing().ask(usd(2)).shares_from(200));
    const ListingId dear =
        world.listing(world.host(scene.seller, a_host().name("dear").cards(2)), a_listing().ask(usd(3)));
    MakeQuote wanted = Scene::wanted();
    wanted.thousandths = 250;
    const QuoteFacts share = scene.quote(wanted);
    CHECK(share.hosts.front().listing == shared);
    CHECK(ledger::cost_of(share).total == usd(1));
    wanted = Scene::wanted(2);
    wanted.hosts = 2;
    const QuoteFacts gang = scene.quote(wanted);
    REQUIRE(gang.hosts.size() == 2);
    CHECK(gang.hosts[0].listing == scene.listing);
    CHECK(gang.hosts[1].listing == dear);
    CHECK(ledger::cost_of(gang).total == usd(16));
    CHECK(ledger::cost_of(gang).hourly == usd(8));

    scene.set_ask(usd(9));
    const auto placed = world.place(scene.renter, Scene::order(gang));
    REQUIRE(placed.members.size() == 2);
    CHECK(placed.members[0].price == ledger::Price(usd(1).count));
    CHECK(placed.members[1].price == ledger::Price(usd(3).count));
    CHECK(placed.order.hourly == usd(8));
    PlaceOrder part = Scene::order(share);
    part.thousandths = 200;
    CHECK(world.place(scene.renter, part).order.hourly == usd(0, 40));
    PlaceOrder more = Scene::order(share);
    more.thousandths = 251;
    CHECK(world.attempt(more, World::by(scene.renter)) == "invalid_field");
    more = Scene::order(gang);
    more.hosts = 3;
    CHECK(world.attempt(more, World::by(scene.renter)) == "invalid_field");
    // The dear one is taken: one host of the quote is left for an order that asks for one.
    CHECK(world.attempt(Scene::order(gang), World::by(scene.renter)) == "no_match");
    PlaceOrder one = Scene::order(gang);
    one.hosts = 1;
    CHECK(world.lease(world.rent(scene.renter, one)).listing == scene.listing);
}

TEST_CASE("Shapes that no order has are not quoted") {
    Scene scene;
    MakeQuote wanted = Scene::wanted(2);
    wanted.thousandths = 500;
    CHECK(scene.world.attempt(wanted, World::by(scene.renter)) == "invalid_field");
    wanted = Scene::wanted();
    wanted.hosts = 2;
    CHECK(scene.world.attempt(wanted, World::by(scene.renter)) == "no_match");
    wanted.requirements.host = scene.host;
    CHECK(scene.world.attempt(wanted, World::by(scene.renter)) == "invalid_field");
    for (auto part : {&MakeQuote::hosts, &MakeQuote::thousandths}) {
        wanted = Scene::wanted();
        wanted.*part = 2;
        wanted.starts_at = scene.world.now() + hours(1);
        CHECK(scene.world.attempt(wanted, World::by(scene.renter)) == "invalid_field");
    }
}

TEST_CASE("A gang that is lost goes on within its quote: at the mean of its prices, for what is left") {
    Scene scene;
    World& world = scene.world;
    const HostId dear = world.host(scene.seller, a_host().name("dear").cards(2));
    world.listing(dear, a_listing().ask(usd(3)));
    MakeQuote wanted = Scene::wanted(1, hours(1));
    wanted.hosts = 2;
    PlaceOrder order = Scene::order(scene.quote(wanted));
    order.job = JobRequest{"busybox", hours(1), 3, "{}"};
    const auto placed = world.place(scene.renter, order);
    for (const Lease& lease : placed.members)
        world.run(lease.id);
    world.pass(minutes(20));
    world.state_usage(placed.members[0].id, minutes(20));
    world.state_usage(placed.members[1].id, minutes(15));
    world.lost(dear);
    world.tick_after(minutes(1));
    world.exited(placed.members[0].id, 1);
    for (const Lease& lease : placed.members)
        if (!world.lease(lease.id).released) world.reported(lease.id, AgentPhase::gone);
    const Order& again = world.order(*world.job(*placed.order.job).order);
    REQUIRE(again.id != placed.order.id);
    CHECK(again.price_max == ledger::Price(usd(2).count));
    CHECK(again.term == minutes(40));
}

TEST_CASE("Nothing placed with a quote costs more than it says, 3,000 generated orders") {
    std::mt19937_64 random(20'260'102);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    Scene scene;
    World& world = scene.world;
    world.check_every(500);
    world.deposit(scene.renter, usd(20'000'000));
    scene.share_from(200);
    int placed = 0;
    int stopped = 0;  // that have sent all that they might
    for (int i = 0; i < 3000; ++i) {
        scene.set_ask(ledger::Micros(below(5'000'000)));
        world.set_fee(static_cast<std::int32_t>(below(500'001)));
        MakeQuote wanted =
            Scene::wanted(static_cast<std::int32_t>(1 + below(4)), Millis(60'000 + below(7'200'000)));
        if (wanted.count == 1) wanted.thousandths = static_cast<std::int32_t>(200 + below(801));
        wanted.stored_gib = below(1000);
        wanted.moved_gib = below(2) * below(500);
        scene.set_storage(ledger::Micros(below(1'000'000'000)));
        scene.set_egress(ledger::Micros(below(4) == 0 ? 0 : below(3'000'000)));
        const QuoteFacts quote = scene.quote(wanted);
        world.pass(Millis(below(400'000)));
        scene.set_ask(ledger::Micros(below(5'000'000)));
        world.set_fee(static_cast<std::int32_t>(below(500'001)));
        scene.set_storage(ledger::Micros(below(1'000'000'000)));
        scene.set_egress(ledger::Micros(below(4) == 0 ? 0 : below(3'000'000)));
        PlaceOrder order = Scene::order(quote);
        if (below(2) == 0) order.egress_gib = below(quote.moved_gib + 1);
        if (below(3) == 0) order.overage_max = ledger::Micros(below(5'000'000));
        order.job = JobRequest{"busybox", hours(3), 2, "{}", below(gib(quote.stored_gib) + 1)};
        const auto before = world.balance(scene.renter, AccountKind::available);
        const std::string outcome = world.attempt(order, World::by(scene.renter));
        REQUIRE((outcome == "ok") == (world.now() < quote.expires_at));
        if (outcome != "ok") continue;
        ++placed;
        const LeaseId lease = *scene.world.state().live_leases().begin();
        world.run(lease);
        Millis ran;
        std::int64_t sent = 0;
        while (world.lease(lease).state == LeaseState::running) {
            const Millis step(1 + below(900'000));
            world.pass(step);
            ran = ran + step;
            sent += below(gib(100));
            static_cast<void>(world.attempt(world.usage(lease, ran, sent), world.agent_of(scene.host)));
            world.tick();
        }
        const ledger::QuoteCost cost = ledger::cost_of(quote);
        const Lease& row = world.lease(lease);
        const ledger::Micros traffic = ledger::traffic_part(row.meter, row.egress_price);
        REQUIRE(row.meter.charged - traffic <= cost.cards + cost.storage);
        REQUIRE(row.meter.charged <= cost.total + order.overage_max);
        // All of it is one exact sum, of which the database asks the same.
        const ledger::Rate rate = row.rate();
        REQUIRE(row.meter.numerator ==
                rate.per_ms() * row.meter.running.count +
                    static_cast<Int128>(row.egress_price.count) * row.meter.egress_mib * 3'515'625);
        if (row.meter.egress_mib > 0 && row.meter.egress_mib == row.egress_mib_max) ++stopped;
        world.reported(lease, AgentPhase::gone);
        REQUIRE(before - world.balance(scene.renter, AccountKind::available) <=
                ledger::cost_of(quote).total + order.overage_max);
        world.forget_final_rows();
    }
    CHECK(placed > 1500);
    CHECK(stopped > 200);
}
