// Holds, charges, top-ups and what happens when the money ends.
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using ledger::AccountKind;

namespace {

/// One card at a dollar an hour with a minute's notice: a hold covers 30 + 10 + 1 minutes.
struct Rental {
    explicit Rental(ledger::Micros money, const OrderBuilder& order = an_order(),
                    const ListingBuilder& offer = a_listing()) {
        seller = world.organization("seller");
        renter = world.organization("renter");
        world.deposit(renter, money);
        host = world.host(seller, a_host().cards(4));
        listing = world.listing(host, offer);
        lease = world.rent(renter, OrderBuilder(order).job());
    }
    [[nodiscard]] std::int64_t available() const {
        return world.balance(renter, AccountKind::available).count;
    }
    [[nodiscard]] std::int64_t held() const { return world.balance(renter, AccountKind::held).count; }
    [[nodiscard]] std::int64_t earned() const { return world.balance(seller, AccountKind::earned).count; }
    [[nodiscard]] std::int64_t fees() const {
        return world.balance(platform_organization, AccountKind::fees).count;
    }
    [[nodiscard]] const Lease& row() const { return world.lease(lease); }

    World world;
    OrganizationId seller, renter;
    HostId host;
    ListingId listing;
    LeaseId lease;
};

}  // namespace

TEST_CASE("The hold is the price of the next window, at most of the rest of the term") {
    for (const auto& row : text_table(R"(
        cards | term min | notice s | held micros
        1     | 600      | 60       | 683334
        1     | 600      | 0        | 669445
        1     | 600      | 5        | 669445
        1     | 600      | 3600     | 1666667
        4     | 600      | 60       | 2733334
        1     | 10       | 60       | 166667
        1     | 41       | 60       | 683334
    )")) {
        INFO(row["cards"] << " cards for " << row["term min"] << " minutes");
        Rental rental(usd(100),
                      an_order()
                          .cards(static_cast<std::int32_t>(row.number("cards")))
                          .term(minutes(row.number("term min"))),
                      a_listing().notice(seconds(row.number("notice s"))));
        CHECK(rental.held() == row.number("held micros"));
        CHECK(rental.row().held.count == row.number("held micros"));
        CHECK(rental.available() == usd(100).count - row.number("held micros"));
    }
}

TEST_CASE("The hold is checked to the micro") {
    Rental enough(ledger::Micros(683'334));
    CHECK(enough.available() == 0);
    World& world = enough.world;
    const auto poor = world.organization("poor");
    world.deposit(poor, ledger::Micros(683'333));
    CHECK(world.attempt(PlaceOrder(an_order()), World::by(poor)) == "insufficient_funds");
    world.deposit(poor, ledger::Micros(1));
    CHECK(world.attempt(PlaceOrder(an_order()), World::by(poor)) == "ok");
}

TEST_CASE("Only running bills") {
    Rental rental(usd(100));
    World& world = rental.world;
    world.pass(seconds(50));
    world.reported(rental.lease, AgentPhase::accepted);
    world.pass(minutes(20));
    world.reported(rental.lease, AgentPhase::running);
    world.pass(minutes(6));
    CHECK(world.state_usage(rental.lease, minutes(6)) == minutes(6));
    world.exited(rental.lease, 0);
    world.pass(minutes(5));
    CHECK(world.state_usage(rental.lease, minutes(11)) == minutes(6) + seconds(5));
    world.reported(rental.lease, AgentPhase::gone);
    CHECK(rental.row().meter.charged.count == 101'388);
    CHECK(rental.earned() == 101'388);
    CHECK(rental.held() == 0);
    CHECK(rental.available() == usd(100).count - 101'388);
}

TEST_CASE("The operator's fee comes out of the charge, at the rate of the lease's beginning") {
    World world;
    world.set_fee(100'000);
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    world.listing(world.host(seller), a_listing());
    const LeaseId lease = world.rent(renter, an_order().job());
    world.set_fee(500'000);
    world.run(lease);
    for (int minute = 1; minute <= 7; ++minute) {
        world.pass(minutes(1));
        world.state_usage(lease, minutes(minute));
    }
    CHECK(world.lease(lease).meter.charged.count == 116'666);
    CHECK(world.balance(platform_organization, AccountKind::fees).count == 11'666);
    CHECK(world.balance(seller, AccountKind::earned).count == 105'000);
}

TEST_CASE("However often a lease is metered, it costs the same") {
    std::int64_t expected = -1;
    for (const std::int64_t step : {60, 7, 600, 13, 61}) {
        Rental rental(usd(100), an_order(), a_listing().ask(usd(1, 37)));
        World& world = rental.world;
        world.check_every(50);
        world.run(rental.lease);
        for (std::int64_t ran = 0; ran < 1200;) {
            const std::int64_t piece = std::min(step, 1200 - ran);
            ran += piece;
            world.pass(seconds(piece));
            REQUIRE(world.state_usage(rental.lease, seconds(ran)) == seconds(ran));
        }
        if (expected < 0) expected = rental.earned();
        CHECK(rental.earned() == expected);
        CHECK(rental.available() + rental.held() + rental.earned() + rental.fees() == usd(100).count);
    }
}

TEST_CASE("A claim is accepted up to the server's clock and a heartbeat") {
    for (const auto& row : text_table(R"(
        passed ms | claimed ms | accepted ms
        60000     | 60000      | 60000
        60000     | 59000      | 59000
        60000     | 65000      | 65000
        60000     | 65001      | 65000
        60000     | 600000     | 65000
        0         | 5001       | 5000
    )")) {
        Rental rental(usd(100));
        World& world = rental.world;
        world.run(rental.lease);
        world.pass(Millis(row.number("passed ms")));
        CHECK(world.state_usage(rental.lease, Millis(row.number("claimed ms"))).count ==
              row.number("accepted ms"));
        CHECK(world.database().usage().back().clipped.count ==
              row.number("claimed ms") - row.number("accepted ms"));
        CHECK(rental.row().claimed.count == row.number("claimed ms"));
    }
}

TEST_CASE("Many statements do not add up to more than the clock") {
    Rental rental(usd(100));
    World& world = rental.world;
    world.run(rental.lease);
    for (int i = 1; i <= 100; ++i) {
        world.pass(Millis(10));
        world.state_usage(rental.lease, seconds(10 * i));
    }
    CHECK(rental.row().meter.running == seconds(1) + seconds(5));
}

TEST_CASE("A claim that was clipped is not made up for by silence") {
    Rental rental(usd(100));
    World& world = rental.world;
    world.run(rental.lease);
    world.pass(minutes(10));
    world.state_usage(rental.lease, minutes(2));
    world.pass(minutes(1));
    CHECK(world.state_usage(rental.lease, minutes(11)) == minutes(3) + seconds(5));
}

TEST_CASE("Nothing is billed past the term") {
    Rental rental(usd(100), an_order().term(minutes(10)));
    World& world = rental.world;
    world.run(rental.lease);
    world.pass(minutes(10) + seconds(4));
    CHECK(world.state_usage(rental.lease, minutes(10) + seconds(4)) == minutes(10));
    CHECK(rental.earned() == 166'666);
}

TEST_CASE("A term that is over stops the lease with grace") {
    Rental rental(usd(100), an_order().term(minutes(10)));
    World& world = rental.world;
    world.run(rental.lease);
    world.tick_after(minutes(10) - Millis(1));
    CHECK_FALSE(rental.row().stop_reason);
    world.tick_after(Millis(1));
    CHECK(rental.row().stop_reason == EndReason::term_reached);
    CHECK(rental.row().reclaim_deadline == world.now() + seconds(10));
    world.tick_after(seconds(10));
    CHECK(world.phase(rental.lease) == "reclaiming term_reached");
}

TEST_CASE("A hold that pays the whole term lasts to its end, although the host's clock is ahead") {
    Rental rental(ledger::Micros(166'667), an_order().term(minutes(10)));
    World& world = rental.world;
    world.run(rental.lease);
    world.pass(minutes(5));
    CHECK(world.state_usage(rental.lease, minutes(5) + seconds(4)) == minutes(5) + seconds(4));
    CHECK(*rental.row().paid_until >= *rental.row().running_at + minutes(10));
    world.tick_after(minutes(5));
    CHECK(rental.row().stop_reason == EndReason::term_reached);
}

TEST_CASE("A hold is topped up once a quarter of its window is used") {
    Rental rental(usd(100));
    World& world = rental.world;
    world.run(rental.lease);
    world.pass(minutes(10));
    world.state_usage(rental.lease, minutes(10));
    CHECK(rental.held() == 683'334 - 166'666);
    world.pass(minutes(1));
    world.state_usage(rental.lease, minutes(11));
    CHECK(rental.held() == 683'334);
    CHECK(*rental.row().paid_until - world.now() >= minutes(41));
    CHECK(*rental.row().paid_until - world.now() < minutes(41) + Millis(8));
}

TEST_CASE("Near its end a lease holds no more than what it can still cost") {
    Rental rental(usd(100), an_order().term(minutes(60)));
    World& world = rental.world;
    world.run(rental.lease);
    for (int ten = 1; ten <= 5; ++ten) {
        world.pass(minutes(10));
        world.state_usage(rental.lease, minutes(10 * ten));
    }
    CHECK(rental.held() >= 166'667);
    CHECK(rental.earned() + rental.held() <= 1'000'001);
}

TEST_CASE("When the money ends the lease ends, and not before") {
    Rental rental(usd(1));
    World& world = rental.world;
    world.run(rental.lease);
    for (int ten = 1; ten <= 3; ++ten) {
        world.pass(minutes(10));
        world.state_usage(rental.lease, minutes(10 * ten));
    }
    CHECK(rental.available() == 0);
    // Three milliseconds more: the last micro is charged when it is used whole.
    CHECK(*rental.row().paid_until == *rental.row().running_at + minutes(60) + Millis(3));

    SECTION("with nothing more it is told to stop") {
        world.tick_after(minutes(30) + Millis(2));
        CHECK_FALSE(rental.row().stop_reason);
        world.tick_after(Millis(1));
        CHECK(rental.row().stop_reason == EndReason::funds_exhausted);
        world.tick_after(seconds(10));
        CHECK(world.phase(rental.lease) == "reclaiming funds_exhausted");
        CHECK(world.state_usage(rental.lease, minutes(60) + seconds(10)) == minutes(60) + Millis(3));
        world.reported(rental.lease, AgentPhase::gone);
        CHECK(rental.earned() == 1'000'000);
        CHECK(world.job_of(rental.lease).state == JobState::failed);
        CHECK(world.job_of(rental.lease).reason == EndReason::funds_exhausted);
    }
    SECTION("with too little for the time that has passed it is told to stop, and the little is held") {
        world.deposit(rental.renter, ledger::Micros(1'000));
        world.tick_after(minutes(30) + seconds(20));
        CHECK(world.events() == "lease.funded lease.stopping");
        CHECK(rental.row().stop_reason == EndReason::funds_exhausted);
        CHECK(rental.available() == 0);
        world.tick_after(seconds(10));
        world.reported(rental.lease, AgentPhase::gone);
        CHECK(rental.held() == 0);
    }
    SECTION("with a deposit it goes on, for as long as that pays from where the old hold ended") {
        world.deposit(rental.renter, ledger::Micros(100'000));
        world.tick_after(minutes(30) + Millis(3));
        CHECK_FALSE(rental.row().stop_reason);
        CHECK(world.events() == "lease.funded");
        CHECK(*rental.row().paid_until == *rental.row().running_at + minutes(66) + Millis(3));
    }
}

TEST_CASE("A silent agent's lease ends when its hold is used up on paper") {
    Rental rental(usd(100));
    World& world = rental.world;
    world.run(rental.lease);
    world.tick_after(minutes(41) + Millis(4));
    CHECK_FALSE(rental.row().stop_reason);
    world.tick_after(Millis(1));
    CHECK(rental.row().stop_reason == EndReason::funds_exhausted);
    CHECK(rental.earned() == 0);
}

TEST_CASE("A free card needs no money") {
    Rental rental(usd(0, 1), an_order().price_max(usd(0)), a_listing().ask(usd(0)));
    World& world = rental.world;
    world.run(rental.lease);
    world.pass(hours(1));
    CHECK(world.state_usage(rental.lease, hours(1)) == hours(1));
    CHECK(rental.available() == usd(0, 1).count);
    CHECK(rental.earned() == 0);
}

TEST_CASE("Each accepted statement answers with a new nonce and is kept verbatim") {
    Rental rental(usd(100));
    World& world = rental.world;
    world.run(rental.lease);
    const std::string first = rental.row().nonce;
    CHECK(first.size() == 32);
    world.pass(minutes(1));
    world.state_usage(rental.lease, minutes(1));
    CHECK(rental.row().nonce != first);
    CHECK(rental.row().usage_sequence == 1);
    CHECK(rental.row().usage_sha256 == "a-hash");
    REQUIRE(world.database().usage().size() == 1);
    CHECK(world.database().usage().front().statement == "a statement");
}

TEST_CASE("Deposits and withdrawals are transfers with the operator's reference") {
    World world;
    const auto renter = world.organization("renter");
    const auto in = world.must<ledger::Transfer>(Deposit{renter, usd(5), "wire 1"}, World::admin());
    CHECK(in.reason == ledger::TransferReason::deposit);
    CHECK(in.reference == "wire 1");
    const auto out = world.must<ledger::Transfer>(
        Withdraw{renter, AccountKind::available, usd(2), "wire 2"}, World::admin());
    CHECK(out.reason == ledger::TransferReason::withdrawal);
    CHECK(world.balance(renter, AccountKind::available) == usd(3));
    CHECK(world.balance(platform_organization, AccountKind::external) == ledger::Micros(-usd(3).count));
    CHECK(world.events() == "transfer.made");
}
