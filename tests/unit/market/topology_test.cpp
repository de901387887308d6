// Cards of one NVLink group and hosts of one rack: preferred among equal asks, required where an order says
// so.
#include "market/topology.hpp"

#include <map>
#include <random>
#include <set>

#include "market/explain.hpp"
#include "market/matching.hpp"
#include "market/search/index.hpp"
#include "market/search/indexed.hpp"
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

using Groups = std::vector<std::optional<std::int32_t>>;

struct Market {
    Market() {
        seller = world.organization("seller");
        renter = world.rich("renter");
    }
    ListingId list(const Groups& groups, ledger::Micros ask = usd(1), const std::string& rack = {}) {
        HostBuilder host =
            a_host().name("host-" + std::to_string(++hosts)).cards(static_cast<int>(groups.size()));
        host.nvlink(groups);
        if (!rack.empty()) host.rack(rack);
        return world.listing(world.host(seller, host), a_listing().ask(ask));
    }
    Lease rent(const PlaceOrder& order) { return world.lease(world.rent(renter, order)); }
    /// "0 0 1", by the cards' indexes.
    [[nodiscard]] std::string groups_of(const Lease& lease) const {
        std::map<std::int32_t, std::string> texts;
        for (const CardId id : lease.cards) {
            const Card& card = world.state().at<Card>(id);
            texts[card.index] =
                card.details.nvlink_group ? std::to_string(*card.details.nvlink_group) : "-";
        }
        std::string all;
        for (const auto& [index, text] : texts)
            all += (all.empty() ? "" : " ") + text;
        return all;
    }
    [[nodiscard]] std::string rack_of(const Lease& lease) const {
        return world.host_row(lease.host).details.rack.value_or("-");
    }
    World world;
    OrganizationId seller, renter;
    int hosts = 0;
};

}  // namespace

TEST_CASE("Several cards are of the smallest NVLink group that has them all") {
    for (const auto& row : text_table(R"(
        cards | takes
        1     | -
        2     | 1 1
        3     | 0 0 0
        4     | 0 0 0 0
        5     | - 0 0 0 0
    )")) {
        Market market;
        market.list({std::nullopt, 0, 0, 0, 0, 1, 1});
        INFO(row["cards"]);
        const auto cards = static_cast<std::int32_t>(row.number("cards"));
        CHECK(market.groups_of(market.rent(an_order().cards(cards))) == row["takes"]);
    }
}

TEST_CASE("A listing whose cards are linked comes before others with its ask, and never before a lower") {
    Market market;
    const ListingId apart = market.list({0, 1});
    const ListingId linked = market.list({3, 3});
    const ListingId dearer = market.list({0, 0}, usd(1, 1));
    const Lease first = market.rent(an_order().cards(2));
    CHECK(first.listing == linked);
    CHECK(first.chosen_by == (apart < linked ? ChosenBy::nvlink : ChosenBy::lowest_id));
    const Lease second = market.rent(an_order().cards(2));
    CHECK(second.price == ledger::Price(usd(1).count));
    CHECK(market.groups_of(second) == "0 1");
    const Lease third = market.rent(an_order().cards(2));
    CHECK(third.listing == dearer);
    CHECK(third.chosen_by == ChosenBy::price);
}

TEST_CASE("An order that requires NVLink pays more for it, or waits") {
    Market market;
    market.list({0, 1});
    const ListingId dearer = market.list({0, 0, 1}, usd(1, 50));
    const Lease lease = market.rent(an_order().cards(2).linked());
    CHECK(lease.listing == dearer);
    const OrderPlaced waits = market.world.place(market.renter, an_order().cards(2).linked());
    CHECK(waits.order.state == OrderState::standing);
    const Explanation why = explain(market.world.state(), waits.order, market.world.now());
    std::map<Constraint, std::int64_t> removed;
    for (const ConstraintCount& count : why.constraints)
        removed[count.constraint] = count.removed;
    CHECK(removed[Constraint::nvlink] == 3);
    CHECK(removed[Constraint::in_use] == 2);
    CHECK(why.left == 0);
    REQUIRE_FALSE(why.changes.empty());
    CHECK(why.changes.front().constraint == Constraint::nvlink);
    CHECK(why.changes.front().order.nvlink == NvlinkWish::prefer);
}

TEST_CASE("NVLink is required of several whole cards at a fixed price alone") {
    Market market;
    market.list({0, 0});
    const auto attempt = [&](const OrderBuilder& order) {
        return market.world.attempt(PlaceOrder(order), World::by(market.renter));
    };
    CHECK(attempt(an_order().linked()) == "invalid_field");
    CHECK(attempt(an_order().cards(2).bid(usd(2)).linked()) == "invalid_field");
    CHECK(attempt(an_order().cards(2).linked()) == "ok");
}

TEST_CASE("A gang stands in one rack where one has room, the fullest that has") {
    Market market;
    const auto gang = [&](std::int32_t hosts) {
        std::multiset<std::string> racks;
        const OrderPlaced placed = market.world.place(market.renter, an_order().hosts(hosts));
        REQUIRE(placed.order.state == OrderState::filled);
        for (const Lease& lease : placed.members)
            racks.insert(market.rack_of(lease));
        return racks;
    };
    for (const char* rack : {"a", "b", "b", "b", "c", "c", ""})
        market.list({std::nullopt}, usd(1), rack);
    CHECK(gang(2) == std::multiset<std::string>{"c", "c"});
    CHECK(gang(2) == std::multiset<std::string>{"b", "b"});
    // What is left has no room in one rack: a, b and none.
    CHECK(gang(3) == std::multiset<std::string>{"-", "a", "b"});
}

TEST_CASE("A gang's later hosts stand beside its first, at whatever ask those had") {
    Market market;
    market.list({std::nullopt}, usd(1), "b");
    const ListingId elsewhere = market.list({std::nullopt}, usd(1, 10), "a");
    const ListingId beside = market.list({std::nullopt}, usd(1, 10), "b");
    const OrderPlaced placed = market.world.place(market.renter, an_order().hosts(2));
    REQUIRE(placed.members.size() == 2);
    CHECK(market.rack_of(placed.members[1]) == "b");
    CHECK(placed.members[1].chosen_by == (elsewhere < beside ? ChosenBy::rack : ChosenBy::lowest_id));
}

TEST_CASE("Cards of a group say how many of them are free, in the index as in the market") {
    Market market;
    const ListingId listing = market.list({0, 0, 0, 1});
    search::Index index(market.world.state(), 0);
    const auto cards_with = [&](const std::string& value) {
        const std::string text = index.text();
        int count = 0;
        for (auto at = text.find(value); at != text.npos; at = text.find(value, at + 1))
            ++count;
        return count;
    };
    CHECK(cards_with("nvlink_group_free=3 ") == 3);
    market.rent(an_order().cards(2));
    for (const Entry& entry : market.world.last_entries())
        if (entry.after && search::is_indexed(*entry.after)) index.put(*entry.after);
    index.settle(1);
    CHECK(cards_with("nvlink_group_free=1 ") == 4);
    CHECK(cards_with("nvlink_group_size=3 ") == 3);
    CHECK(index.text() == search::Index(market.world.state(), 1).text());
    CHECK(market.world.state().free_cards(listing) == 2);
}

namespace {

/// What an order at a fixed price must pay a card, and whether a group had room at that ask, over the rows.
struct Found {
    std::optional<ledger::Price> ask;
    bool is_linked = false;
};
Found find_by_rows(const State& state, std::int32_t count, bool is_required) {
    std::map<ledger::Price, bool> asks;  // whether one with that ask has a group with room
    for (const auto& [id, listing] : state.table<Listing>()) {
        std::map<std::int32_t, std::int32_t> groups;
        std::int32_t free = 0;
        for (const CardId card_id : listing.cards) {
            const Card& card = state.at<Card>(card_id);
            if (!card.is_free()) continue;
            ++free;
            if (card.details.nvlink_group) ++groups[*card.details.nvlink_group];
        }
        const bool has_group = count > 1 && std::ranges::any_of(groups, [&](const auto& group) {
                                   return group.second >= count;
                               });
        if (free >= count && (has_group || !is_required)) asks[listing.ask] |= has_group;
    }
    if (asks.empty()) return {};
    return {asks.begin()->first, asks.begin()->second};
}

}  // namespace

TEST_CASE(
    "Linked wherever a group has room at the lowest ask, and never dearer: 3,000 orders in 100 markets") {
    std::mt19937_64 random(20'261'128);
    const auto up_to = [&](int n) {
        return static_cast<std::int32_t>(random() % static_cast<unsigned>(n));
    };
    int linked = 0;
    int apart = 0;
    int refused = 0;
    for (int round = 0; round < 100; ++round) {
        Market market;
        market.world.check_every(50);
        for (int i = 0; i < 6; ++i) {
            Groups groups;
            for (int card = 0; card < 1 + up_to(6); ++card)
                groups.push_back(up_to(4) == 0 ? std::nullopt : std::optional(up_to(3)));
            market.list(groups, usd(1, up_to(2)));
        }
        for (int i = 0; i < 30; ++i) {
            const std::int32_t count = 1 + up_to(4);
            const bool is_required = count > 1 && up_to(3) == 0;
            const Found found = find_by_rows(market.world.state(), count, is_required);
            OrderBuilder order = an_order().cards(count).fill_or_kill();
            if (is_required) order.linked();
            Decision decision = market.world.decide(PlaceOrder(order), World::by(market.renter));
            REQUIRE(static_cast<bool>(decision.outcome) == found.ask.has_value());
            if (!found.ask) {
                ++refused;
                // A place is given back, so that there is always something to choose from.
                const auto& leases = market.world.state().live_leases();
                if (leases.empty()) continue;
                const LeaseId some = *std::next(leases.begin(), up_to(static_cast<int>(leases.size())));
                static_cast<void>(market.world.attempt(EndLease{some}, World::by(market.renter)));
                if (market.world.lease(some).state == LeaseState::ended)
                    market.world.reported(some, AgentPhase::gone);
                continue;
            }
            const auto& placed = std::get<OrderPlaced>(*decision.outcome);
            const Lease& lease = market.world.lease(placed.order.lease.value());
            CHECK(lease.price == *found.ask);
            std::set<std::optional<std::int32_t>> groups;
            for (const CardId card : lease.cards)
                groups.insert(market.world.state().at<Card>(card).details.nvlink_group);
            const bool is_linked = count > 1 && groups.size() == 1 && *groups.begin();
            CHECK(is_linked == found.is_linked);
            ++(is_linked ? linked : apart);
        }
    }
    CHECK(linked > 300);
    CHECK(apart > 300);
    CHECK(refused > 300);
}
