// Which of several listings with one ask serves: placement's rule, held to its definition over the rows.
#include "market/placing.hpp"

#include <map>
#include <random>
#include <set>
#include <tuple>

#include "market/matching.hpp"
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

struct Market {
    Market() {
        seller = world.organization("seller");
        renter = world.rich("renter");
        other = world.rich("other");
    }
    ListingId list(int cards, ledger::Micros ask = usd(1), std::int32_t share_min = 1000) {
        const HostId host =
            world.host(seller, a_host().name("host-" + std::to_string(++hosts)).cards(cards));
        return world.listing(host, a_listing().ask(ask).shares_from(share_min));
    }
    Lease rent(const PlaceOrder& order) { return world.lease(world.rent(renter, order)); }
    /// Orders that stand, because nothing is as cheap.
    void ask_for(int orders, std::int32_t cards) {
        for (int i = 0; i < orders; ++i)
            world.place(other, an_order().cards(cards).price_max(usd(0, 1)));
    }
    World world;
    OrganizationId seller, renter, other;
    int hosts = 0;
};

/// What is asked for, counted over the rows.
placement::Worth worth_by_rows(const State& state) {
    std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> counts;
    const auto add = [&](std::int32_t cards, std::int32_t thousandths, std::int32_t times) {
        counts[{cards, (thousandths + 49) / 50 * 50}] += times;
    };
    for (const auto& [id, order] : state.table<Order>())
        if (order.state == OrderState::standing) add(order.count, order.thousandths, order.hosts);
    for (const auto& [id, lease] : state.table<Lease>())
        if (!lease.released) {
            const auto cards = static_cast<std::int32_t>(lease.cards.size());
            add(cards, lease.thousandths / cards, 1);
        }
    std::vector<placement::Expected> expected;
    for (const auto& [shape, count] : counts)
        expected.push_back({{shape.first, shape.second, 0, 0, {}}, count * placement::DemandWindow::unit});
    placement::Supply supply;
    supply.add(0, 1000);
    return placement::Worth(placement::weighed(expected, supply));
}

/// What the order would find of the listing, counted over its cards.
placement::Cost cost_by_rows(const State& state, const placement::Worth& worth, const Listing& listing,
                             const Order& order) {
    placement::Room room;
    std::int32_t part = 0;
    for (const CardId id : listing.cards) {
        const Card& card = state.at<Card>(id);
        if (card.used == 0) ++room.whole_cards;
        bool mine = false;
        for (const auto& [lease_id, lease] : state.table<Lease>())
            if (!lease.released && lease.is_share() && lease.cards.front() == id)
                mine = lease.renter == order.organization;
        const std::int32_t free = 1000 - card.used;
        if (mine && free >= order.thousandths && (part == 0 || free < part)) part = free;
    }
    if (!order.is_for_share()) part = 0;
    if (part > 0) room.parts.push_back(static_cast<std::int16_t>(part));
    const placement::Task task{order.count, order.thousandths, 0, 0, {}};
    return placement::cost_of(worth, room, task, part > 0 ? part : placement::whole_card);
}

/// The listing by the documented rule: the lowest ask that fits, the least cost, the lowest id.
std::optional<ListingId> best_by_rows(const State& state, const Order& order, Time now) {
    using Key = std::tuple<ledger::Price, placement::Cost, ListingId>;
    const placement::Worth worth = worth_by_rows(state);
    std::optional<Key> best;
    for (const auto& [id, listing] : state.table<Listing>()) {
        if (!fit(state, listing, order, now).member) continue;
        const Key key{listing.ask, cost_by_rows(state, worth, listing, order), id};
        if (!best || key < *best) best = key;
    }
    return best ? std::optional(std::get<ListingId>(*best)) : std::nullopt;
}

}  // namespace

TEST_CASE("Among equal asks an order goes where least is left") {
    Market market;
    market.list(4);
    const ListingId two = market.list(2);
    market.list(4, usd(0, 99));
    const Lease cheaper = market.rent(an_order().cards(4));
    CHECK(cheaper.price == ledger::Price(usd(0, 99).count));
    CHECK(cheaper.chosen_by == ChosenBy::price);
    const Lease placed = market.rent(an_order().cards(2));
    CHECK(placed.listing == two);
    CHECK(placed.chosen_by == ChosenBy::fragmentation);
}

TEST_CASE("What stands and runs decides where an order goes") {
    // Where pairs are asked for, one card spoils the only pair of the smaller host.
    for (const auto& row : text_table(R"(
        pairs | singles | goes to
        0     | 20      | two
        20    | 0       | three
    )")) {
        Market market;
        const ListingId two = market.list(2);
        const ListingId three = market.list(3);
        market.ask_for(static_cast<int>(row.number("pairs")), 2);
        market.ask_for(static_cast<int>(row.number("singles")), 1);
        INFO(row["goes to"]);
        CHECK(market.rent(an_order()).listing == (row["goes to"] == "two" ? two : three));
    }
}

TEST_CASE("Alike listings are taken by id, and a named one is taken as named") {
    Market market;
    const ListingId a = market.list(2);
    const ListingId b = market.list(2);
    const Lease first = market.rent(an_order());
    CHECK(first.listing == std::min(a, b));
    CHECK(first.chosen_by == ChosenBy::lowest_id);
    const Lease named = market.rent(an_order().on(std::max(a, b)));
    CHECK(named.listing == std::max(a, b));
    CHECK(named.chosen_by == ChosenBy::named);
}

TEST_CASE("Where whole cards are asked for, a part goes beside the renter's own, whichever the listing") {
    Market market;
    market.ask_for(20, 1);
    const ListingId a = market.list(1, usd(1), 100);
    const ListingId b = market.list(1, usd(1), 100);
    CHECK(market.rent(an_order().share(400).on(std::max(a, b))).listing == std::max(a, b));
    CHECK(market.rent(an_order().share(300)).listing == std::max(a, b));
    CHECK(market.rent(an_order().share(400)).listing == std::min(a, b));
}

TEST_CASE("A gang takes the hosts on which it spoils least") {
    Market market;
    market.list(4);
    const ListingId a = market.list(1);
    const ListingId b = market.list(1);
    const Order order = market.world.place(market.renter, an_order().hosts(2)).order;
    REQUIRE(order.state == OrderState::filled);
    std::set<ListingId> taken;
    for (const auto& [rank, lease] : market.world.state().leases_of(order.id))
        taken.insert(market.world.lease(lease).listing);
    CHECK(taken == std::set{a, b});
}

TEST_CASE("A bounded number of equal asks is weighed, those with the lowest ids, and then the next") {
    Market market;
    market.world.check_every(100);
    std::set<ListingId> larger;
    for (std::size_t i = 0; i < equal_asks_weighed_max; ++i)
        larger.insert(market.list(2));
    market.world.pass(Millis(1));  // ids begin with the time
    const ListingId small = market.list(1);
    const ListingId large = market.list(3);
    REQUIRE(*larger.rbegin() < small);
    const Lease placed = market.rent(an_order());
    CHECK(placed.listing == *larger.begin());
    CHECK(placed.chosen_by == ChosenBy::lowest_id);
    CHECK(market.rent(an_order().cards(3)).listing == large);
}

TEST_CASE("Every choice is the best by the rule's own words, 2,000 generated orders") {
    std::map<ChosenBy, int> reasons;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        std::mt19937_64 random(seed);
        const auto below = [&](std::uint64_t end) { return static_cast<std::int32_t>(random() % end); };
        Market market;
        market.world.check_every(50);
        for (int i = 0; i < 12; ++i)
            market.list(1 + below(6), usd(1 + below(2)), below(2) == 0 ? 100 : 1000);
        market.ask_for(below(8), 1 + below(2));
        std::vector<LeaseId> leases;
        for (int step = 0; step < 200; ++step) {
            const OrganizationId renter = below(2) == 0 ? market.renter : market.other;
            PlaceOrder command = an_order().price_max(usd(1 + below(2))).fill_or_kill();
            if (below(3) == 0)
                command.thousandths = 100 * (1 + below(9));
            else
                command.count = 1 + below(4);
            Order order;
            order.organization = renter;
            order.requirements = command.requirements;
            order.count = command.count;
            order.thousandths = command.thousandths;
            order.price_max = command.price_max;
            order.term = command.term;
            const auto expected = best_by_rows(market.world.state(), order, market.world.now());
            const Decision made = market.world.decide(command, World::by(renter));
            REQUIRE(static_cast<bool>(made.outcome) == expected.has_value());
            if (expected) {
                const Lease& lease = *std::get<OrderPlaced>(*made.outcome).lease;
                REQUIRE(lease.listing == *expected);
                ++reasons[lease.chosen_by.value()];
                leases.push_back(lease.id);
            }
            if (leases.empty() || below(3) == 0) continue;
            const std::size_t which = random() % leases.size();
            const LeaseId ended = leases[which];
            leases.erase(leases.begin() + static_cast<std::ptrdiff_t>(which));
            market.world.must<Lease>(EndLease{ended}, World::by(market.world.lease(ended).renter));
            market.world.reported(ended, AgentPhase::gone);
        }
    }
    CHECK(reasons[ChosenBy::price] > 50);
    CHECK(reasons[ChosenBy::fragmentation] > 50);
    CHECK(reasons[ChosenBy::lowest_id] > 50);
}
