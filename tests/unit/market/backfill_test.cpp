// What an order for several cards waits for, and whom it lets pass.
#include "market/backfill.hpp"

#include <random>

#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

struct Waiting {
    explicit Waiting(int hosts = 1, int cards = 4) {
        seller = world.organization("seller");
        renter = world.rich("renter");
        world.deposit(renter, usd(100'000));
        for (int i = 0; i < hosts; ++i)
            world.listing(world.host(seller, a_host().name("host-" + std::to_string(i)).cards(cards)),
                          a_listing().ask(usd(1)));
    }
    LeaseId run(const OrderBuilder& order) {
        const LeaseId lease = world.rent(renter, order);
        world.run(lease);
        return lease;
    }
    std::string place(OrderBuilder order) {
        return world.attempt(PlaceOrder(order.fill_or_kill()), World::by(renter));
    }
    [[nodiscard]] std::optional<Time> claimed_until(OrderId order) const {
        Claims claims;
        add_claims(claims, world.state(), world.order(order), world.now());
        return claims.empty() ? std::nullopt : std::optional(claims.begin()->second);
    }
    World world;
    OrganizationId seller, renter;
};

}  // namespace

TEST_CASE("Later orders take a claimed card only for as long as it would lie idle") {
    // Three of four cards are leased for an hour; an order waits for all four. A start may take 23 minutes.
    for (const auto& row : text_table(R"(
        what                            | price | cards | term | expected
        back at the last moment         | 2     | 1     | 37   | ok
        a minute late                   | 2     | 1     | 38   | no_match
        a higher limit is served before | 3     | 1     | 600  | ok
        so is one that is late          | 3     | 1     | 38   | ok
    )")) {
        INFO(row["what"]);
        Waiting market;
        market.run(an_order().cards(3).term(hours(1)).job());
        const OrderId large = market.world.place(market.renter, an_order().cards(4)).order.id;
        CHECK(market.claimed_until(large) == market.world.now() + hours(1));
        const auto later = an_order()
                               .cards(static_cast<std::int32_t>(row.number("cards")))
                               .price_max(usd(row.number("price")))
                               .term(minutes(row.number("term")));
        CHECK(market.place(later) == row["expected"]);
    }
}

TEST_CASE("What waits for nothing claims nothing") {
    for (const auto& row : text_table(R"(
        what                        | expected
        more cards than a host has  | ok
        another model               | ok
        cancelled                   | ok
        its renter has no money     | ok
        a host too few              | ok
        nothing of it               | no_match
    )")) {
        const std::string what = row["what"];
        INFO(what);
        Waiting market;
        market.run(an_order().cards(3).term(hours(1)).job());
        const OrganizationId poor = market.world.organization("poor");
        if (what == "its renter has no money") market.world.deposit(poor, usd(6));
        OrderBuilder large = an_order().cards(what == "more cards than a host has" ? 5 : 4);
        if (what == "another model") large.product("A100");
        if (what == "a host too few") large.hosts(2);
        const bool is_poor = what == "its renter has no money";
        const OrderId id = market.world.place(is_poor ? poor : market.renter, large).order.id;
        if (is_poor)
            market.world.must<ledger::Transfer>(
                Withdraw{poor, ledger::AccountKind::available, usd(5), "out"}, World::admin());
        if (what == "cancelled") market.world.must<Order>(CancelOrder{id}, World::by(market.renter));
        CHECK(market.place(an_order().term(hours(9))) == row["expected"]);
    }
}

TEST_CASE("A standing order behind a claim waits, and is served when the claim is") {
    Waiting market(1, 2);
    const LeaseId lease = market.run(an_order().term(hours(1)).job());
    const OrderId large =
        market.world.place(market.renter, an_order().cards(2).term(hours(1)).job()).order.id;
    const OrderId small = market.world.place(market.renter, an_order().term(hours(3)).job()).order.id;
    CHECK(market.world.order(small).state == OrderState::standing);
    market.world.tick();
    CHECK(market.world.order(small).state == OrderState::standing);
    market.world.exited(lease, 0);
    market.world.reported(lease, AgentPhase::gone);
    CHECK(market.world.order(large).state == OrderState::filled);
    CHECK(market.world.order(small).state == OrderState::standing);
}

// 150 seeds: three hosts of three cards, full of leases; a gang waits while later orders of the same price
// come every minute. It is filled at the moment that it claimed when it began to wait, or before.
TEST_CASE("No later order delays a gang") {
    int waited = 0;
    int passed = 0;
    for (unsigned seed = 1; seed <= 150; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        const auto below = [&](unsigned n) { return static_cast<std::int32_t>(random() % n); };
        Waiting market(3, 3);
        World& world = market.world;
        world.check_every(50);
        std::vector<LeaseId> leases;
        const auto small = [&] { return an_order().term(minutes(1 + below(35))).job(); };
        for (int i = 0; i < 9; ++i)
            leases.push_back(market.run(small()));
        const bool is_wide = below(2) == 0;
        const OrderBuilder wanted = is_wide ? an_order().hosts(2).cards(2).term(minutes(5)).job()
                                            : an_order().cards(3).term(minutes(5)).job();
        const OrderId gang = world.place(market.renter, wanted).order.id;
        const auto until = market.claimed_until(gang);
        REQUIRE(until.has_value());
        while (world.order(gang).state == OrderState::standing && world.now() < *until) {
            world.pass(minutes(1));
            world.tick();
            for (LeaseId& id : leases) {
                const Lease* lease = world.state().find<Lease>(id);
                if (lease == nullptr || lease->released || !lease->stop_reason) continue;
                world.exited(id, 0);
                world.reported(id, AgentPhase::gone);
            }
            const Decision later =
                world.decide(PlaceOrder(small().fill_or_kill()), World::by(market.renter));
            if (!later.outcome) continue;
            leases.push_back(std::get<OrderPlaced>(*later.outcome).lease->id);
            world.run(leases.back());
            ++passed;
        }
        CHECK(world.order(gang).state == OrderState::filled);
        ++waited;
    }
    CHECK(waited == 150);
    CHECK(passed > 0);
}
