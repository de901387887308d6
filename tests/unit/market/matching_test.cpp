// Which listing serves which order, and in which order they are served.
#include "market/matching.hpp"

#include <algorithm>

#include "market/listings.hpp"
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
    }
    HostId add_host(const HostBuilder& builder) {
        return world.host(seller, HostBuilder(builder).name("host-" + std::to_string(++hosts)));
    }
    World world;
    OrganizationId seller, renter;
    int hosts = 0;
};

std::string why_not(const Market& market, ListingId listing, const PlaceOrder& command) {
    Order order;
    order.organization = market.renter;
    order.requirements = command.requirements;
    order.count = command.count;
    order.thousandths = command.thousandths;
    order.price_max = command.price_max;
    order.storage_price_max = command.storage_price_max;
    order.egress_price_max = command.egress_price_max;
    order.term = command.term;
    const Fit found =
        fit(market.world.state(), market.world.listing_row(listing), order, market.world.now());
    CHECK(found.member.has_value() != found.refused.has_value());
    return found.member ? "fits" : std::string(name_of(*found.refused));
}

}  // namespace

TEST_CASE("Each constraint refuses what it should, at its boundary") {
    Market market;
    World& world = market.world;
    const HostId host = market.add_host(a_host().cards(4).country("DE").product("H100").vram(gib(80)));
    const HostId other = market.add_host(a_host());
    const ListingId listing =
        world.listing(host, a_listing()
                                .ask(usd(2, 50))
                                .terms(minutes(10), hours(10))
                                .bundle(2)
                                .storage(usd(0, 10))
                                .egress(usd(0, 2))
                                .available(world.now() - hours(1), world.now() + hours(5)));
    const ListingId elsewhere = world.listing(other);
    const auto fitting = [] { return an_order().cards(2).price_max(usd(2, 50)).term(hours(1)); };
    const struct {
        const char* what;
        const char* expected;
        PlaceOrder order;
    } rows[] = {
        {"all as asked", "fits", fitting()},
        {"this listing", "fits", fitting().on(listing)},
        {"another listing", "listing", fitting().on(elsewhere)},
        {"this host", "fits", fitting().on(host)},
        {"another host", "host", fitting().on(other)},
        {"a cent too little", "price", fitting().price_max(usd(2, 49))},
        {"its storage price", "fits", fitting().storage_max(usd(0, 10))},
        {"less for storage", "storage_price", fitting().storage_max(usd(0, 9))},
        {"its price for traffic", "fits", fitting().egress_max(usd(0, 2))},
        {"less for traffic", "egress_price", fitting().egress_max(usd(0, 1))},
        {"the shortest term", "fits", fitting().term(minutes(10))},
        {"shorter", "term", fitting().term(minutes(10) - Millis(1))},
        {"up to the window's end", "fits", fitting().term(hours(5))},
        {"past the window", "window", fitting().term(hours(5) + Millis(1))},
        {"longer than the longest term", "term", fitting().term(hours(10) + Millis(1))},
        {"its country", "fits", fitting().in("FR").in("DE")},
        {"another country", "country", fitting().in("FR")},
        {"any but its country", "country", fitting().not_in("FR").not_in("DE")},
        {"any but another country", "fits", fitting().not_in("FR")},
        {"fewer than the bundle", "bundle", fitting().cards(1)},
        {"a part of a card that is not shared", "bundle", fitting().cards(1).share(500)},
        {"a network among hosts that it does not offer", "gang_network", fitting().gang_network()},
        {"all cards", "fits", fitting().cards(4)},
        {"more cards than there are", "cards", fitting().cards(5)},
        {"its product", "fits", fitting().product("A100").product("H100")},
        {"another product", "cards", fitting().product("A100")},
        {"its memory", "fits", fitting().vram(gib(80))},
        {"a byte more", "cards", fitting().vram(gib(80) + 1)},
        {"its class", "fits", fitting().device_class(DeviceClass::gpu)},
        {"another class", "cards", fitting().device_class(DeviceClass::cpu)},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        CHECK(why_not(market, listing, row.order) == row.expected);
    }
}

TEST_CASE("The rules stand in the order in which the constraints are named") {
    std::vector<Constraint> asked;
    for (const ListingRule& rule : listing_rules())
        asked.push_back(rule.constraint);
    for (const CardRule& rule : card_rules())
        asked.push_back(rule.constraint);
    asked.push_back(Constraint::cards);  // these two are counts over the others
    asked.push_back(Constraint::hosts);
    for (std::size_t i = 0; i < asked.size(); ++i)
        CHECK(asked[i] == static_cast<Constraint>(i));
    CHECK(asked.size() == std::size_t(std::ranges::count(all_names<Constraint>(), ',')) + 1);
}

TEST_CASE("A listing serves only while it, its host and its seller may") {
    for (const auto& row : text_table(R"(
        what            | expected
        nothing         | fits
        paused          | listing_state
        withdrawn       | listing_state
        draining        | host_state
        unreachable     | host_state
        frozen host     | frozen
        frozen seller   | frozen
        frozen elsewhere| fits
        before window   | window
        card missing    | cards
        card withheld   | cards
    )")) {
        const std::string what = row["what"];
        INFO(what);
        Market market;
        World& world = market.world;
        const HostId host = market.add_host(a_host());
        const HostId other = market.add_host(a_host());
        const auto from = what == "before window" ? std::optional(world.now() + Millis(1)) : std::nullopt;
        const ListingId listing = world.listing(host, a_listing().available(from, std::nullopt));
        const UpdateListing pause = a_change(listing, 1).to(ListingState::paused);
        const Caller seller = World::by(market.seller);
        if (what == "paused") CHECK(world.attempt(pause, seller) == "ok");
        if (what == "withdrawn") CHECK(world.attempt(WithdrawListing{listing}, seller) == "ok");
        if (what == "draining") CHECK(world.attempt(ChangeHost{host, HostAction::drain}, seller) == "ok");
        if (what == "unreachable") world.lost(host);
        if (what.starts_with("frozen")) {
            const bool is_seller = what == "frozen seller";
            const std::string target = is_seller               ? market.seller.text()
                                       : what == "frozen host" ? host.text()
                                                               : other.text();
            const auto kind = is_seller ? FreezeKind::organization : FreezeKind::host;
            CHECK(world.attempt(CreateFreeze{kind, target, ""}, World::admin()) == "ok");
        }
        if (what == "card missing") {
            ReportInventory empty = a_host().inventory(world.now());
            empty.cards.clear();
            CHECK(world.attempt(empty, world.agent_of(host)) == "ok");
        }
        if (what == "card withheld") {
            ReportInventory report = a_host().inventory(world.now());
            report.cards[0].offered = false;
            CHECK(world.attempt(report, world.agent_of(host)) == "ok");
        }
        CHECK(why_not(market, listing, an_order()) == row["expected"]);
    }
}

TEST_CASE("A new order takes the cheapest listing that fits, then the lowest id, then the lowest cards") {
    Market market;
    World& world = market.world;
    const ListingId dear = world.listing(market.add_host(a_host().cards(4)), a_listing().ask(usd(2)));
    const ListingId a = world.listing(market.add_host(a_host().cards(2)), a_listing().ask(usd(1)));
    const ListingId b = world.listing(market.add_host(a_host().cards(2)), a_listing().ask(usd(1)));
    world.listing(market.add_host(a_host().cards(4).product("A100")), a_listing().ask(usd(0, 50)));
    const auto rent = [&](int cards) {
        const Lease& lease = world.lease(
            world.rent(market.renter, an_order().product("H100").cards(cards).price_max(usd(3))));
        std::string text;
        for (const CardId card : lease.cards)
            text += std::to_string(world.state().at<Card>(card).index);
        return std::pair{lease.listing, text};
    };
    const ListingId low = std::min(a, b);
    const ListingId high = std::max(a, b);
    CHECK(rent(1) == std::pair{low, std::string("0")});
    CHECK(rent(2) == std::pair{high, std::string("01")});
    CHECK(rent(2) == std::pair{dear, std::string("01")});
    CHECK(rent(1) == std::pair{low, std::string("1")});
    CHECK(rent(1) == std::pair{dear, std::string("2")});
    CHECK(world.lease(*world.place(market.renter, an_order().price_max(usd(3))).order.lease).price ==
          ledger::Price(usd(0, 50).count));
}

TEST_CASE("A lease keeps its price when the listing changes") {
    Market market;
    World& world = market.world;
    const ListingId listing = world.listing(market.add_host(a_host()), a_listing().ask(usd(1)));
    const LeaseId lease = world.rent(market.renter, an_order().job());
    CHECK(world.attempt(UpdateListing(a_change(listing, 1).ask(usd(2))), World::by(market.seller)) == "ok");
    CHECK(world.lease(lease).price == ledger::Price(usd(1).count));
    CHECK(world.listing_row(listing).version == 2);
}

TEST_CASE("Capacity that becomes free goes to the highest price, then to the oldest order") {
    Market market;
    World& world = market.world;
    const HostId host = market.add_host(a_host());
    world.listing(host, a_listing().ask(usd(1)));
    LeaseId holder = world.rent(market.renter, an_order().job());
    const auto stand = [&](ledger::Micros price) {
        world.pass(Millis(1));
        return world.place(market.renter, an_order().price_max(price).job()).order.id;
    };
    const OrderId cheap = stand(usd(1));
    const OrderId high_young_later = stand(usd(2));
    const OrderId too_cheap = stand(usd(0, 99));
    const OrderId highest = stand(usd(3));
    const OrderId high_younger = stand(usd(2));
    for (const OrderId expected : {highest, high_young_later, high_younger, cheap}) {
        CHECK(world.attempt(EndLease{holder}, World::by(market.renter)) == "ok");
        world.reported(holder, AgentPhase::gone);
        REQUIRE(world.order(expected).state == OrderState::filled);
        holder = *world.order(expected).lease;
    }
    CHECK(world.order(too_cheap).state == OrderState::standing);
}

TEST_CASE("An order that the first card does not suit waits for one that does") {
    Market market;
    World& world = market.world;
    const OrderId four = world.place(market.renter, an_order().cards(4).price_max(usd(3))).order.id;
    const OrderId one = world.place(market.renter, an_order().price_max(usd(1))).order.id;
    world.listing(market.add_host(a_host().cards(2)), a_listing());
    CHECK(world.order(four).state == OrderState::standing);
    CHECK(world.order(one).state == OrderState::filled);
    world.listing(market.add_host(a_host().cards(4)), a_listing());
    CHECK(world.order(four).state == OrderState::filled);
}

TEST_CASE("What lets a standing order be filled") {
    for (const auto& row : text_table(R"(
        event
        a deposit
        a new listing
        a lower ask
        a resumed listing
        a resumed host
        a host that is back
        a card that is back
        a card that is offered again
        a window that opens
        a lease that is gone
        a freeze that is lifted
        a market that is open again
    )")) {
        const std::string event = row["event"];
        INFO(event);
        Market market;
        World& world = market.world;
        const Caller seller = World::by(market.seller);
        const HostId host = market.add_host(a_host());
        const auto opens =
            event == "a window that opens" ? std::optional(world.now() + hours(1)) : std::nullopt;
        const auto ask = event == "a lower ask" ? usd(5) : usd(1);
        ListingId listing;
        if (event != "a new listing")
            listing = world.listing(host, a_listing().ask(ask).available(opens, std::nullopt));
        LeaseId holder;
        FreezeId freeze;
        OrganizationId renter = market.renter;
        if (event == "a resumed listing" || event == "a market that is open again")
            CHECK(world.attempt(UpdateListing(a_change(listing, 1).to(ListingState::paused)), seller) ==
                  "ok");
        if (event == "a resumed host")
            CHECK(world.attempt(ChangeHost{host, HostAction::drain}, seller) == "ok");
        if (event == "a host that is back") world.lost(host);
        if (event == "a card that is back") {
            ReportInventory empty = a_host().inventory(world.now());
            empty.cards.clear();
            CHECK(world.attempt(empty, world.agent_of(host)) == "ok");
        }
        if (event == "a card that is offered again") {
            ReportInventory report = a_host().inventory(world.now());
            report.cards[0].offered = false;
            CHECK(world.attempt(report, world.agent_of(host)) == "ok");
        }
        if (event == "a lease that is gone" || event == "a deposit")
            holder = world.rent(market.renter, an_order());
        if (event == "a freeze that is lifted")
            freeze = world.must<Freeze>(CreateFreeze{FreezeKind::host, host.text(), ""}, World::admin()).id;
        if (event == "a deposit") {
            renter = world.organization("saver");
            world.deposit(renter, ledger::Micros(683'334));
        }
        const auto price = event == "a deposit" ? usd(1) : usd(2);
        const OrderId order = world.place(renter, an_order().price_max(price).job()).order.id;
        REQUIRE(world.order(order).state == OrderState::standing);
        if (event == "a market that is open again") {
            freeze = world.must<Freeze>(CreateFreeze{FreezeKind::market, "main", ""}, World::admin()).id;
        }

        if (event == "a deposit") {
            // The money went elsewhere in between; the card is free, and the next deposit fills the order.
            CHECK(world.attempt(Withdraw{renter, ledger::AccountKind::available, ledger::Micros(1), ""},
                                World::admin()) == "ok");
            CHECK(world.attempt(EndLease{holder}, World::by(market.renter)) == "ok");
            world.reported(holder, AgentPhase::gone);
            REQUIRE(world.order(order).state == OrderState::standing);
            world.deposit(renter, ledger::Micros(1));
        }
        if (event == "a new listing") world.listing(host);
        if (event == "a lower ask")
            CHECK(world.attempt(UpdateListing(a_change(listing, 1).ask(usd(2))), seller) == "ok");
        if (event == "a resumed listing")
            CHECK(world.attempt(UpdateListing(a_change(listing, 2).to(ListingState::open)), seller) ==
                  "ok");
        if (event == "a resumed host")
            CHECK(world.attempt(ChangeHost{host, HostAction::resume}, seller) == "ok");
        if (event == "a host that is back") world.back(host);
        if (event.starts_with("a card that is")) world.inventory(host, a_host());
        if (event == "a window that opens") world.tick_after(hours(1));
        if (event == "a lease that is gone") {
            CHECK(world.attempt(EndLease{holder}, World::by(market.renter)) == "ok");
            CHECK(world.order(order).state == OrderState::standing);
            world.reported(holder, AgentPhase::gone);
        }
        if (!freeze.is_nil()) {
            if (event == "a market that is open again") {
                CHECK(world.attempt(UpdateListing(a_change(listing, 2).to(ListingState::open)), seller) ==
                      "ok");
                CHECK(world.order(order).state == OrderState::standing);
            }
            world.must<Done>(RemoveFreeze{freeze}, World::admin());
        }
        CHECK(world.order(order).state == OrderState::filled);
    }
}

TEST_CASE("What keeps a standing order from being filled") {
    for (const auto& row : text_table(R"(
        what
        its renter is frozen
        its image is frozen
        its digest is frozen
        its time is up
        its renter is out of money
    )")) {
        const std::string what = row["what"];
        INFO(what);
        Market market;
        World& world = market.world;
        const OrderId order =
            world.place(market.renter, an_order().expires_in(hours(1)).job("name@sha256:1")).order.id;
        const auto freeze = [&](FreezeKind kind, const std::string& target) {
            CHECK(world.attempt(CreateFreeze{kind, target, ""}, World::admin()) == "ok");
        };
        if (what == "its renter is frozen") freeze(FreezeKind::organization, market.renter.text());
        if (what == "its image is frozen") freeze(FreezeKind::image, "name@sha256:1");
        if (what == "its digest is frozen") freeze(FreezeKind::image, "sha256:1");
        if (what == "its time is up") world.pass(hours(1));
        if (what == "its renter is out of money")
            CHECK(world.attempt(Withdraw{market.renter, ledger::AccountKind::available, usd(1000), ""},
                                World::admin()) == "ok");
        world.listing(market.add_host(a_host()));
        CHECK(world.order(order).state == OrderState::standing);
        if (what != "its time is up") continue;
        world.tick();
        CHECK(world.order(order).state == OrderState::expired);
    }
}

TEST_CASE("A tick that frees a card gives it to nobody whose time is up in the same tick") {
    Market market;
    World& world = market.world;
    const HostId host = market.add_host(a_host());
    world.listing(host);
    const HostId second = market.add_host(a_host());
    world.listing(second, a_listing().ask(usd(1, 50)));
    // The job's first attempt times out in the tick in which the other order expires.
    const LeaseId first = world.rent(market.renter, an_order().job("busybox", 2));
    const LeaseId other = world.rent(market.renter, an_order());
    const OrderId expiring =
        world.place(market.renter, an_order().price_max(usd(3)).expires_in(minutes(1))).order.id;
    CHECK(world.attempt(EndLease{other}, World::by(market.renter)) == "ok");
    world.pass(minutes(1));
    world.reported(other, AgentPhase::gone);
    CHECK(world.order(expiring).state == OrderState::standing);
    world.tick();
    CHECK(world.order(expiring).state == OrderState::expired);
    CHECK(world.job_of(first).attempts == 2);
}

TEST_CASE("One command fills a bounded number of orders, the next tick goes on") {
    Rules rules;
    rules.matches_per_command_max = 2;
    World world(rules);
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    for (int i = 0; i < 5; ++i)
        world.place(renter, an_order());
    world.listing(world.host(seller, a_host().cards(8)));
    CHECK(world.state().standing_orders(renter) == 3);
    world.tick();
    CHECK(world.state().standing_orders(renter) == 1);
    world.tick();
    CHECK(world.state().standing_orders(renter) == 0);
}

TEST_CASE("One tick carries out a bounded number of deadlines, the earliest first") {
    Rules rules;
    rules.due_per_tick_max = 2;
    World world(rules);
    const auto renter = world.rich("renter");
    std::vector<OrderId> orders;
    for (int i = 0; i < 5; ++i)
        orders.push_back(world.place(renter, an_order().expires_in(minutes(5 - i))).order.id);
    world.tick_after(minutes(5));
    CHECK(world.order(orders[4]).state == OrderState::expired);
    CHECK(world.order(orders[3]).state == OrderState::expired);
    CHECK(world.state().standing_orders(renter) == 3);
    world.must<Done>(Tick{orders[0]}, World::system());
    CHECK(world.order(orders[0]).state == OrderState::expired);
    CHECK(world.state().standing_orders(renter) == 2);
    world.must<Done>(Tick{orders[0]}, World::system());
    world.must<Done>(Tick{OrderId(RawId{5, 5})}, World::system());
    world.must<Done>(Tick{LeaseId(RawId{5, 5})}, World::system());
    CHECK(world.events().empty());
    world.tick();
    CHECK(world.state().standing_orders(renter) == 0);
}

TEST_CASE("A listing without a card that is offered is paused by its cards, and its seller hears of it") {
    Market market;
    World& world = market.world;
    const HostId host = market.add_host(a_host().cards(2));
    const ListingId listing = world.listing(host);
    const auto told = [&](bool first_is_offered, bool second_is_offered) {
        ReportInventory report = a_host().cards(2).inventory(world.now());
        report.cards[0].offered = first_is_offered;
        report.cards[1].offered = second_is_offered;
        CHECK(world.attempt(report, world.agent_of(host)) == "ok");
        std::string events;
        for (const Entry& entry : world.last_entries())
            if (entry.event.starts_with("listing."))
                events += std::string(entry.event) + ":" + entry.reason + " ";
        return events;
    };
    const auto pause = [&] {
        const auto found = view_of(world.state(), world.listing_row(listing)).paused_by;
        return found ? name_of(*found) : "none";
    };
    const auto set = [&](ListingState state) {
        const UpdateListing change = a_change(listing, world.listing_row(listing).version).to(state);
        CHECK(world.attempt(change, World::by(market.seller)) == "ok");
    };
    CHECK(pause() == "none");
    CHECK(told(false, true).empty());
    CHECK(pause() == "none");
    CHECK(told(false, false) == "listing.paused:cards ");
    CHECK(pause() == "cards");
    CHECK(told(false, false).empty());
    CHECK(world.listing_row(listing).state == ListingState::open);

    set(ListingState::paused);
    CHECK(pause() == "seller");
    CHECK(told(true, false).empty());
    CHECK(pause() == "seller");
    CHECK(told(false, false).empty());
    set(ListingState::open);
    CHECK(pause() == "cards");
    CHECK(told(true, false) == "listing.resumed:cards ");
    CHECK(pause() == "none");
}

TEST_CASE("Search shows of a listing what its cards are") {
    Market market;
    World& world = market.world;
    const HostId host = market.add_host(a_host().cards(3).country("FR"));
    ReportInventory mixed = a_host().cards(3).inventory(world.now());
    mixed.cards[1].vram_bytes = gib(48);
    CHECK(world.attempt(mixed, world.agent_of(host)) == "ok");
    const ListingId listing = world.listing(host);
    world.rent(market.renter, an_order());
    const ListingView view = view_of(world.state(), world.listing_row(listing));
    CHECK(view.cards_total == 3);
    CHECK(view.cards_free == 2);
    CHECK(view.vram_bytes == gib(48));
    CHECK(view.country == "FR");
    CHECK(view.product == "H100");
}
