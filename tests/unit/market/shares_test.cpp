// Parts of a card: which card a part is taken of, who may lie beside whom, what it costs.
#include <random>

#include "market/leases.hpp"
#include "market/listings.hpp"
#include "market/matching.hpp"
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

struct Shared {
    explicit Shared(int cards = 2, std::int32_t share_min = 100) {
        seller = world.organization("seller");
        a = world.rich("a");
        b = world.rich("b");
        host = world.host(seller, a_host().cards(cards));
        listing = world.listing(host, a_listing().ask(usd(1)).shares_from(share_min));
    }
    /// The index of the card that a part went to, or "none".
    std::string take(OrganizationId renter, std::int32_t part) {
        Decision made = world.decide(PlaceOrder(an_order().share(part).fill_or_kill()), World::by(renter));
        if (!made.outcome) return "none";
        last = std::get<OrderPlaced>(*made.outcome).lease->id;
        const CardId card = world.lease(last).cards.at(0);
        return std::to_string(world.state().at<Card>(card).index);
    }
    void give_back(LeaseId lease) {
        world.must<Lease>(EndLease{lease}, World::by(world.lease(lease).renter));
        const AgentReport gone{.lease = lease,
                               .lease_epoch = world.lease(lease).epoch,
                               .phase = AgentPhase::gone,
                               .container = {},
                               .boot = {},
                               .exit_code = {},
                               .failure = {}};
        world.must<Lease>(gone, world.agent_of(host));
    }
    World world;
    OrganizationId seller, a, b;
    HostId host;
    ListingId listing;
    LeaseId last;
};

}  // namespace

TEST_CASE("A part goes to the fullest card that has room and no other tenant") {
    Shared market(3);
    for (const auto& row : text_table(R"(
        what                              | who | part | card
        the first takes the lowest index  | a   | 300  | 0
        the next lies beside it           | a   | 400  | 0
        no room there                     | a   | 500  | 1
        the fullest that has room         | a   | 200  | 0
        fuller ones have none             | a   | 300  | 1
        another organization              | b   | 100  | 2
        never beside a stranger           | b   | 950  | none
        its own card                      | b   | 900  | 2
        less than the smallest part       | a   | 99   | none
        exactly what is left of one       | a   | 100  | 0
        and of the other                  | a   | 200  | 1
        nothing is left                   | a   | 100  | none
    )")) {
        INFO(row["what"]);
        const OrganizationId who = row["who"] == "a" ? market.a : market.b;
        CHECK(market.take(who, static_cast<std::int32_t>(row.number("part"))) == row["card"]);
    }
}

TEST_CASE("Whole cards and parts keep out of each other's way") {
    Shared market(2);
    const auto whole = [&](int cards) {
        return market.world.attempt(PlaceOrder(an_order().cards(cards).fill_or_kill()),
                                    World::by(market.a));
    };
    CHECK(market.take(market.a, 100) == "0");
    const LeaseId part = market.last;
    CHECK(whole(2) == "no_match");
    CHECK(whole(1) == "ok");  // the other card
    CHECK(market.take(market.a, 900) == "0");
    const LeaseId rest = market.last;
    CHECK(market.take(market.a, 100) == "none");
    const OrderId waiting = market.world.place(market.b, an_order().cards(1)).order.id;
    market.give_back(part);
    CHECK(market.world.order(waiting).state == OrderState::standing);
    market.give_back(rest);
    CHECK(market.world.order(waiting).state == OrderState::filled);
}

TEST_CASE("Without the seller's word no part of a card is leased, and a change of it touches no lease") {
    Shared market(1, limits::thousandths_per_card);
    CHECK(market.take(market.a, 999) == "none");
    const auto set = [&](std::int32_t share_min) {
        UpdateListing change;
        change.listing = market.listing;
        change.version = market.world.listing_row(market.listing).version;
        change.terms.share_min = share_min;
        return market.world.attempt(change, World::by(market.seller));
    };
    const OrderId standing = market.world.place(market.a, an_order().share(400)).order.id;
    CHECK(set(400) == "ok");
    CHECK(market.world.order(standing).state == OrderState::filled);
    CHECK(set(1000) == "ok");
    CHECK(market.take(market.a, 400) == "none");
    const LeaseId lease = *market.world.order(standing).lease;
    CHECK(market.world.lease(lease).thousandths == 400);
    CHECK(market.world.phase(lease) == "allocated");
    market.give_back(lease);
    CHECK(market.world.attempt(PlaceOrder(an_order().fill_or_kill()), World::by(market.b)) == "ok");
}

TEST_CASE("A part holds and costs that part of the price") {
    Shared market(1);
    const ledger::Micros before = market.world.balance(market.a, ledger::AccountKind::available);
    CHECK(market.take(market.a, 250) == "0");
    const Lease& lease = market.world.lease(market.last);
    Lease whole = lease;
    whole.thousandths = limits::thousandths_per_card;
    CHECK(lease.held == hold_wanted(market.world.state().rules(), lease, lease.price));
    // A hold is a ceiling.
    const std::int64_t of_whole = hold_wanted(market.world.state().rules(), whole, whole.price).count;
    CHECK(lease.held.count == (of_whole + 3) / 4);
    CHECK(before - lease.held == market.world.balance(market.a, ledger::AccountKind::available));
    CHECK(view_of(market.world.state(), market.world.listing_row(market.listing)).thousandths_free == 750);
}

// 40 seeds × 150 steps. After every step World audits that no card is over 1000, that each card has one
// tenant, that cards.used is the sum of the leases, and that every index equals one built from the rows.
TEST_CASE("Any sequence of parts and whole cards stays within the cards") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
        Shared market(3, 50);
        market.world.check_every(5);
        std::vector<LeaseId> held;
        for (int step = 0; step < 150; ++step) {
            const OrganizationId who = below(2) == 0 ? market.a : market.b;
            if (below(3) == 0 && !held.empty()) {
                const auto at = held.begin() + below(static_cast<unsigned>(held.size()));
                market.give_back(*at);
                held.erase(at);
            } else if (below(5) == 0) {
                const auto made = market.world.decide(
                    PlaceOrder(an_order().cards(1 + below(2)).fill_or_kill()), World::by(who));
                if (made.outcome) held.push_back(std::get<OrderPlaced>(*made.outcome).lease->id);
            } else if (market.take(who, 50 + below(950)) != "none") {
                held.push_back(market.last);
            }
        }
        CHECK(audit(market.world.state()) == "");
        for (const LeaseId lease : held)
            market.give_back(lease);
        CHECK(market.world.state().free_cards(market.listing) == 3);
    }
}

TEST_CASE("What is left of a card stands opposite those who wait for a part") {
    Shared market(1);
    const State& state = market.world.state();
    CHECK(market.take(market.a, 600) == "0");
    CHECK_FALSE(has_pair(state));
    market.world.place(market.b, an_order().share(100));
    CHECK(has_pair(state));
    CHECK(market.take(market.a, 400) == "0");
    CHECK_FALSE(has_pair(state));
}
