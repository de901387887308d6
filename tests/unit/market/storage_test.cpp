// Working storage: what it costs beside the cards, what is held for it, and what may be said against it.
#include "market/leases.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using ledger::AccountKind;

namespace {

struct Scene {
    Scene() {
        seller = world.organization("seller");
        renter = world.rich("renter");
        host = world.host(seller, a_host().cards(4));
        // A GiB costs 0.10 an hour, so that storage is seen beside the cards.
        listing = world.listing(host, a_listing().ask(usd(1)).storage(usd(73)));
    }
    std::string attempt(const Command& command) { return world.attempt(command, World::by(renter)); }

    World world;
    OrganizationId seller, renter;
    HostId host;
    ListingId listing;
};

}  // namespace

TEST_CASE("Storage that a job reserves is billed with the cards while it runs, and only then") {
    Scene scene;
    World& world = scene.world;
    const LeaseId lease = world.rent(scene.renter, an_order().cards(2).job().storing(gib(5)));
    CHECK(world.lease(lease).storage_bytes == gib(5));
    CHECK(world.lease(lease).storage_price == usd(73));
    CHECK(ledger::hourly(world.lease(lease).rate()) == usd(2, 50));
    CHECK(world.order(world.lease(lease).order).hourly == usd(2, 50));
    // 30 minutes, 10 of the disconnect window and 1 of the notice.
    CHECK(world.lease(lease).held.count == 2'500'000 * 41 / 60 + 1);
    world.pass(seconds(30));
    world.run(lease);
    world.pass(minutes(30));
    world.state_usage(lease, minutes(30));
    CHECK(world.lease(lease).meter.charged == usd(1, 25));
    world.exited(lease, 0);
    world.pass(minutes(5));
    world.reported(lease, AgentPhase::gone);
    CHECK(world.lease(lease).meter.charged == usd(1, 25));
    CHECK(world.balance(scene.renter, AccountKind::held).count == 0);
}

TEST_CASE("A share pays for all of its storage") {
    Scene scene;
    const ListingId shared = scene.world.listing(scene.world.host(scene.seller, a_host().name("shared")),
                                                 a_listing().ask(usd(1)).shares_from(100).storage(usd(73)));
    const LeaseId lease =
        scene.world.rent(scene.renter, an_order().on(shared).share(250).job().storing(gib(10)));
    CHECK(ledger::hourly(scene.world.lease(lease).rate()) == usd(1, 25));
}

TEST_CASE("A rental pays for the storage of the job that it is given") {
    Scene scene;
    World& world = scene.world;
    const LeaseId lease = world.rent(scene.renter, an_order());
    const auto held = world.lease(lease).held;
    CHECK(world.lease(lease).storage_bytes == 0);
    AttachJob attach{lease, JobRequest{"busybox", hours(1), 1, "{}", gib(10)}};
    CHECK(scene.attempt(attach) == "ok");
    CHECK(world.lease(lease).storage_bytes == gib(10));
    CHECK(world.lease(lease).held > held);
    CHECK(world.lease(lease).held ==
          hold_wanted(world.state().rules(), world.lease(lease), world.lease(lease).price));
}

TEST_CASE("A job whose storage its renter cannot pay is refused, and the rental stays as it is") {
    Scene scene;
    World& world = scene.world;
    const OrganizationId poor = world.organization("poor");
    world.deposit(poor, usd(1));
    const LeaseId lease = world.rent(poor, an_order());
    const auto held = world.lease(lease).held;
    AttachJob attach{lease, JobRequest{"busybox", hours(1), 1, "{}", gib(100)}};
    CHECK(world.attempt(attach, World::by(poor)) == "insufficient_funds");
    CHECK(world.lease(lease).held == held);
    CHECK_FALSE(world.lease(lease).job);
    CHECK(world.attempt(PlaceOrder(an_order().job().storing(gib(100))), World::by(poor)) ==
          "insufficient_funds");
}

TEST_CASE("Who cannot pay the storage of the cheapest card gets the first card that can be paid") {
    Scene scene;
    World& world = scene.world;
    const ListingId dearer = world.listing(world.host(scene.seller, a_host().name("dearer").cards(3)),
                                           a_listing().ask(usd(2)).floor(usd(1)).storage(usd(0)));
    const auto set = [&](ListingState state) {
        const auto version = world.listing_row(dearer).version;
        static_cast<void>(world.must<ListingView>(UpdateListing(a_change(dearer, version).to(state)),
                                                  World::by(scene.seller)));
    };
    // 100 GiB cost 10.00 an hour beside the cheapest cards, and nothing beside the others.
    const auto order = [] { return an_order().price_max(usd(3)).job().storing(gib(100)); };

    const OrganizationId poor = world.organization("poor");
    world.deposit(poor, usd(2));
    CHECK(world.lease(world.rent(poor, order())).listing == dearer);

    set(ListingState::paused);
    const OrganizationId waiting = world.organization("waiting");
    world.deposit(waiting, usd(4));
    CHECK(world.attempt(PlaceOrder(order()), World::by(waiting)) == "insufficient_funds");
    const OrderId bid = world.place(waiting, order().bid(usd(2))).order.id;
    world.listing(world.host(scene.seller, a_host().name("low floor")),
                  a_listing().ask(usd(9)).floor(usd(0, 50)).storage(usd(73)));
    CHECK(world.order(bid).state == OrderState::standing);
    set(ListingState::open);
    CHECK(world.order(bid).state == OrderState::filled);
}

TEST_CASE("A standing order passes over the storage that its renter cannot pay") {
    Scene scene;
    World& world = scene.world;
    const OrganizationId waiting = world.organization("waiting");
    world.deposit(waiting, usd(4));
    const OrderId standing =
        world.place(waiting, an_order().product("rare").price_max(usd(3)).job().storing(gib(100))).order.id;
    CHECK(world.order(standing).state == OrderState::standing);
    const auto rare = [&](std::string name) { return a_host().name(std::move(name)).product("rare"); };
    world.listing(world.host(scene.seller, rare("dear storage")), a_listing().ask(usd(1)).storage(usd(73)));
    CHECK(world.order(standing).state == OrderState::standing);
    const ListingId payable = world.listing(world.host(scene.seller, rare("free storage")),
                                            a_listing().ask(usd(2)).storage(usd(0)));
    CHECK(world.order(standing).state == OrderState::filled);
    CHECK(world.lease(*world.order(standing).lease).listing == payable);
}

TEST_CASE("An order may limit what it pays for storage") {
    Scene scene;
    World& world = scene.world;
    CHECK(scene.attempt(PlaceOrder(
              an_order().storage_max(usd(72, 99)).fill_or_kill().job().storing(gib(1)))) == "no_match");
    CHECK(world.lease(world.rent(scene.renter, an_order().storage_max(usd(73)).job().storing(gib(1))))
              .storage_price == usd(73));
    const auto standing = world.place(scene.renter, an_order().storage_max(usd(50)).job().storing(gib(1)));
    CHECK(standing.order.state == OrderState::standing);
    UpdateListing change;
    change.listing = scene.listing;
    change.version = world.listing_row(scene.listing).version;
    change.terms.storage_price = usd(50);
    static_cast<void>(world.must<ListingView>(change, World::by(scene.seller)));
    CHECK(world.order(standing.order.id).state == OrderState::filled);
}

TEST_CASE("A quote covers so many GiB, at the price of its moment") {
    Scene scene;
    World& world = scene.world;
    MakeQuote wanted;
    wanted.term = hours(2);
    wanted.stored_gib = 10;
    const auto quote = world.must<ledger::QuoteFacts>(wanted, World::by(scene.renter));
    CHECK(ledger::cost_of(quote).storage == usd(2));
    CHECK(ledger::cost_of(quote).hourly == usd(2));
    UpdateListing change;
    change.listing = scene.listing;
    change.version = world.listing_row(scene.listing).version;
    change.terms.storage_price = usd(730);
    static_cast<void>(world.must<ListingView>(change, World::by(scene.seller)));

    PlaceOrder order;
    order.term = quote.term;
    order.expires_in = hours(1);
    order.quote = quote;
    order.job = JobRequest{"busybox", hours(1), 1, "{}", gib(10) + 1};
    CHECK(scene.attempt(order) == "invalid_field");
    order.job->storage_bytes = gib(10);
    const LeaseId lease = world.rent(scene.renter, order);
    CHECK(world.lease(lease).storage_price == usd(73));
    order.job.reset();
    const LeaseId rental = world.rent(scene.renter, order);
    AttachJob attach{rental, JobRequest{"busybox", hours(1), 1, "{}", gib(10) + 1}};
    CHECK(scene.attempt(attach) == "invalid_field");
    attach.job.storage_bytes = gib(10);
    CHECK(scene.attempt(attach) == "ok");
    CHECK(world.lease(rental).storage_price == usd(73));
}

TEST_CASE("A bid is for cards: storage is paid on top of it, at every price") {
    Scene scene;
    World& world = scene.world;
    const ListingId spot = world.listing(world.host(scene.seller, a_host().name("spot")),
                                         a_listing().ask(usd(5)).floor(usd(0, 40)).storage(usd(73)));
    const LeaseId lease =
        world.rent(scene.renter, an_order().on(spot).bid(usd(0, 50)).job().storing(gib(10)));
    CHECK(world.lease(lease).price == ledger::Price(usd(0, 40).count));
    CHECK(ledger::hourly(world.lease(lease).rate()) == usd(1, 40));
    // What is held is held at the bid.
    CHECK(world.lease(lease).held.count == 1'500'000 * 41 / 60);
    world.run(lease);
    world.pass(minutes(6));
    world.state_usage(lease, minutes(6));
    CHECK(world.lease(lease).meter.charged == usd(0, 14));
}

TEST_CASE("A reserved block keeps the storage price of its booking") {
    Scene scene;
    World& world = scene.world;
    const ListingId committed =
        world.listing(world.host(scene.seller, a_host().name("committed")),
                      a_listing().ask(usd(1)).storage(usd(73)).committed(world.now() + days(9)));
    world.deposit(scene.seller, usd(100));
    Reserve reserve;
    reserve.requirements.listing = committed;
    reserve.price_max = ledger::Price(usd(1).count);
    reserve.term = hours(1);
    reserve.starts_at = world.now() + days(1);
    const auto booked = world.must<Reservation>(reserve, World::by(scene.renter));
    CHECK(booked.storage_price == usd(73));
    UpdateListing change;
    change.listing = committed;
    change.version = world.listing_row(committed).version;
    change.terms.storage_price = usd(730);
    static_cast<void>(world.must<ListingView>(change, World::by(scene.seller)));
    world.tick_after(days(1));
    const LeaseId lease = world.state().at<Reservation>(booked.id).lease.value();
    CHECK(world.lease(lease).storage_price == usd(73));
}
