// What a seller may say beside a price: weekly windows, who may rent, which images may run, and the same
// change of many listings at once.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "market/listings.hpp"
#include "market/weekly_window.hpp"
#include "support/market_world.hpp"
#include "support/row_text.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

/// 2026-03-02, a Monday, 00:00 UTC.
constexpr Time monday(1'772'409'600'000);

Time at(std::string_view moment) {
    return monday + minutes(parse_weekly_window(std::string(moment) + "-mon 00:00")->from);
}

struct Offered {
    explicit Offered(ListingBuilder terms, int cards = 4) {
        seller = world.organization("seller");
        renter = world.rich("renter");
        friendly = world.rich("friend");
        host = world.host(seller, a_host().cards(cards));
        listing = world.listing(host, terms.ask(usd(1)).terms(minutes(1), days(30)));
    }
    std::string place(OrganizationId who, OrderBuilder order) {
        return world.attempt(PlaceOrder(order.fill_or_kill()), World::by(who));
    }
    World world;
    OrganizationId seller, renter, friendly;
    HostId host;
    ListingId listing;
};

}  // namespace

TEST_CASE("Texts of weekly windows") {
    for (const auto& row : text_table(R"(
        text                 | from | until
        mon 00:00-mon 00:01  | 0    | 1
        fri 18:00-mon 08:00  | 6840 | 480
        sun 23:59-mon 00:00  | 10079| 0
        fri 18:00 mon 08:00  | bad  |
        Fri 18:00-mon 08:00  | bad  |
        fri 24:00-mon 08:00  | bad  |
        fri 18:60-mon 08:00  | bad  |
        fri 8:00-mon 08:00   | bad  |
        xyz 18:00-mon 08:00  | bad  |
        fri 18:00-mon 08:0a  | bad  |
        fri 18:00-mon 08:000 | bad  |
    )")) {
        INFO(row["text"]);
        const auto window = parse_weekly_window(row["text"]);
        CHECK(window.has_value() == (row["from"] != "bad"));
        if (!window) continue;
        CHECK(window->from == row.number("from"));
        CHECK(window->until == row.number("until"));
    }
}

TEST_CASE("How long windows stay open") {
    const std::vector<std::string> weekend{"fri 18:00-mon 08:00"};
    const std::vector<std::string> nights{"mon 20:00-tue 06:00", "tue 20:00-wed 06:00"};
    const std::vector<std::string> touching{"mon 00:00-mon 12:00", "mon 12:00-tue 00:00",
                                            "mon 23:00-tue 02:00"};
    const std::vector<std::string> always{"wed 00:00-wed 00:00"};
    const struct {
        const char* what;
        const std::vector<std::string>& windows;
        std::int32_t offset;
        const char* moment;
        Millis open;
    } rows[] = {
        {"before it begins", weekend, 0, "fri 17:59", Millis(0)},
        {"at its beginning", weekend, 0, "fri 18:00", hours(62)},
        {"over the end of the week", weekend, 0, "mon 07:00", hours(1)},
        {"at its end", weekend, 0, "mon 08:00", Millis(0)},
        {"two hours east it begins two hours earlier", weekend, 120, "fri 16:00", hours(62)},
        {"and two hours west later", weekend, -120, "fri 18:00", Millis(0)},
        {"an offset over the week's edge", weekend, -840, "mon 21:00", hours(1)},
        {"the first of two nights", nights, 0, "mon 23:00", hours(7)},
        {"between them", nights, 0, "tue 12:00", Millis(0)},
        {"windows that touch and overlap", touching, 0, "mon 06:00", hours(20)},
        {"a whole week", always, 0, "thu 03:00", days(7)},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        CHECK(open_for(row.windows, row.offset, at(row.moment)) == row.open);
        CHECK(open_for(row.windows, row.offset, at(row.moment) + days(700)) == row.open);
        CHECK(open_for(row.windows, row.offset, at(row.moment) - days(77'777)) == row.open);
    }
}

// 20,000 generated cases against minute by minute counting.
TEST_CASE("Generated windows stay open as long as each of their minutes is in one") {
    std::mt19937 random(7);
    const auto below = [&](unsigned n) { return static_cast<std::int32_t>(random() % n); };
    const auto moment = [](std::int32_t minute) {
        static const char* const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
        return fmt::format("{} {:02}:{:02}", names[minute / 1440], minute / 60 % 24, minute % 60);
    };
    for (int i = 0; i < 20'000; ++i) {
        std::vector<WeeklyWindow> windows;
        std::vector<std::string> texts;
        for (int n = below(4); n >= 0; --n) {
            const std::int32_t from = below(336) * 30;
            const std::int32_t until = (from + 30 + below(100) * 30) % 10'080;
            windows.push_back({from, until});
            texts.push_back(moment(from) + "-" + moment(until));
        }
        const std::int32_t offset = (below(57) - 28) * 30;
        const std::int32_t start = below(336) * 30;
        const auto is_open_at = [&](std::int32_t minute) {
            const std::int32_t local = ((minute + offset) % 10'080 + 10'080) % 10'080;
            return std::any_of(windows.begin(), windows.end(), [&](const WeeklyWindow& window) {
                const bool wraps = window.until <= window.from;
                return wraps ? local >= window.from || local < window.until
                             : local >= window.from && local < window.until;
            });
        };
        std::int32_t counted = 0;
        while (counted < 10'080 && is_open_at(start + counted))
            counted += 30;
        REQUIRE(open_for(texts, offset, monday + minutes(start)) == minutes(counted));
        REQUIRE(is_open(windows, offset, monday + minutes(start)) == is_open_at(start));
        std::int32_t covered = 0;
        for (std::int32_t minute = 0; minute < 10'080; minute += 30)
            if (is_open_at(minute)) covered += 30;
        REQUIRE(open_per_week(texts) == minutes(covered));
    }
}

TEST_CASE("A lease fits into its listing's window and is stopped before that closes") {
    Offered market(a_listing());
    const Time now = market.world.now();
    // Friday, 08:00 UTC: half an hour is left by a clock that is an hour ahead.
    const std::vector<std::string> windows{"mon 12:00-fri 09:30"};
    const Millis left = minutes(30);
    REQUIRE(open_for(windows, 60, now) == left);
    UpdateListing change = a_change(market.listing, 1);
    change.terms.windows = windows;
    change.terms.windows_utc_offset_minutes = 60;
    REQUIRE(market.world.attempt(change, World::by(market.seller)) == "ok");
    CHECK(market.place(market.renter, an_order().term(left + Millis(1))) == "no_match");
    CHECK(market.place(market.renter, an_order().term(left)) == "ok");

    const LeaseId lease = market.world.rent(market.renter, an_order().term(left).job());
    CHECK(market.world.lease(lease).ends_by == now + left - seconds(10));
    market.world.pass(minutes(1));
    market.world.run(lease);  // a minute late: its term would end after the window
    market.world.pass(left - minutes(1) - seconds(11));
    market.world.tick();
    CHECK_FALSE(market.world.lease(lease).stop_reason);
    market.world.tick_after(seconds(1));
    CHECK(market.world.lease(lease).stop_reason == EndReason::term_reached);
    market.world.tick_after(seconds(10));
    CHECK(market.world.phase(lease) == "reclaiming term_reached");
    CHECK(market.world.now() == now + left);
}

TEST_CASE("A lease that does not come to run before the window closes ends with it") {
    Offered market(a_listing());
    UpdateListing change = a_change(market.listing, 1);
    const Time now = market.world.now();
    const LeaseId before = market.world.rent(market.renter, an_order().job());
    change.terms.windows = std::vector<std::string>{"mon 00:00-mon 00:00"};
    REQUIRE(market.world.attempt(change, World::by(market.seller)) == "ok");
    CHECK_FALSE(market.world.lease(before).ends_by);
    Offered until(a_listing().available({}, now + minutes(1)));
    const LeaseId lease = until.world.rent(until.renter, an_order().term(minutes(1)).job());
    until.world.tick_after(seconds(50));
    CHECK(until.world.phase(lease) == "ended start_timeout");
}

TEST_CASE("A seller says who may rent") {
    World names;
    const OrganizationId nobody(RawId{9, 9});
    for (const auto& row : text_table(R"(
        allowed | blocked | renter   | friend
        -       | -       | ok       | ok
        friend  | -       | no_match | ok
        -       | friend  | ok       | no_match
        friend  | friend  | no_match | no_match
        nobody  | -       | no_match | no_match
    )")) {
        INFO(row["allowed"] << " allowed, " << row["blocked"] << " blocked");
        Offered market(a_listing());
        const auto named = [&](const std::string& name) {
            std::vector<OrganizationId> list;
            if (name == "friend") list.push_back(market.friendly);
            if (name == "nobody") list.push_back(nobody);
            return list;
        };
        UpdateListing change = a_change(market.listing, 1);
        change.terms.renters_allowed = named(row["allowed"]);
        change.terms.renters_blocked = named(row["blocked"]);
        REQUIRE(market.world.attempt(change, World::by(market.seller)) == "ok");
        CHECK(market.place(market.renter, an_order()) == row["renter"]);
        CHECK(market.place(market.friendly, an_order()) == row["friend"]);
    }
}

TEST_CASE("A seller says which images may run") {
    const std::string digest = "sha256:" + std::string(64, 'a');
    Offered market(
        a_listing().images({"docker.io/library/busybox:1.36", "registry.example/team/*", digest}), 8);
    const struct {
        std::string image;
        const char* expected;
    } rows[] = {
        {"docker.io/library/busybox:1.36", "ok"},   {"docker.io/library/busybox:1.37", "no_match"},
        {"registry.example/team/tool:2", "ok"},     {"registry.example/teams/tool:2", "no_match"},
        {"elsewhere.example/tool@" + digest, "ok"}, {"elsewhere.example/tool", "no_match"},
    };
    for (const auto& row : rows) {
        INFO(row.image);
        CHECK(market.place(market.renter, an_order().job(row.image)) == row.expected);
    }
    // A rental brings its job later.
    const LeaseId bare = market.world.rent(market.renter, an_order());
    const AttachJob other{bare, JobRequest{"elsewhere.example/tool", hours(1), 1, "{}"}};
    CHECK(market.world.attempt(other, World::by(market.renter)) == "invalid_field");
    const AttachJob allowed{bare, JobRequest{"registry.example/team/x", hours(1), 1, "{}"}};
    CHECK(market.world.attempt(allowed, World::by(market.renter)) == "ok");
    // A standing order is held to it, too.
    UpdateListing pause = a_change(market.listing, 1).to(ListingState::paused);
    REQUIRE(market.world.attempt(pause, World::by(market.seller)) == "ok");
    const OrderId standing =
        market.world.place(market.renter, an_order().job("elsewhere.example/tool")).order.id;
    UpdateListing open = a_change(market.listing, 2).to(ListingState::open);
    REQUIRE(market.world.attempt(open, World::by(market.seller)) == "ok");
    CHECK(market.world.order(standing).state == OrderState::standing);
}

TEST_CASE("A change of terms never touches a lease") {
    Offered market(a_listing().notice(minutes(5)).shares_from(200));
    const LeaseId lease = market.world.rent(market.renter, an_order().share(500).job());
    market.world.run(lease);
    market.world.pass(minutes(3));
    market.world.state_usage(lease, minutes(3));
    const std::string before = row_text(market.world.lease(lease));
    UpdateListing change = a_change(market.listing, 1).ask(usd(9)).to(ListingState::paused);
    change.terms.term_min = hours(20);
    change.terms.term_max = hours(21);
    change.terms.reclaim_notice = Millis(0);
    change.terms.share_min = 1000;
    change.terms.windows = std::vector<std::string>{"mon 00:00-mon 00:01"};
    change.terms.renters_blocked = std::vector<OrganizationId>{market.renter};
    change.terms.images_allowed = std::vector<std::string>{"nothing"};
    REQUIRE(market.world.attempt(change, World::by(market.seller)) == "ok");
    CHECK(row_text(market.world.lease(lease)) == before);
    market.world.pass(minutes(3));
    CHECK(market.world.state_usage(lease, minutes(6)) == minutes(6));
    CHECK(market.world.lease(lease).meter.charged == usd(0, 5));  // 6 min of half a card at 1.00
}

TEST_CASE("The same change of many listings is made whole or not at all") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const OrganizationId other = world.organization("other");
    const HostId small = world.host(seller, a_host().name("small").cards(2).product("A100"));
    const HostId large = world.host(seller, a_host().name("large").cards(4));
    const HostId foreign = world.host(other, a_host().name("foreign"));
    const ListingId a = world.listing(small, a_listing().cards(1));
    const ListingId b = world.listing(small, a_listing().cards(1).terms(hours(5), hours(6)));
    const ListingId c = world.listing(large, a_listing().cards(2));
    const ListingId d = world.listing(large, a_listing().cards(2));
    const ListingId e = world.listing(foreign, a_listing());
    REQUIRE(world.attempt(WithdrawListing{d}, World::by(seller)) == "ok");
    const auto changed = [&](const ListingFilter& filter, bool dry_run) {
        ChangeListings command;
        command.filter = filter;
        command.terms.ask = ledger::Price(usd(7).count);
        command.dry_run = dry_run;
        const auto made = world.must<ListingsChanged>(command, World::by(seller));
        std::string text;
        for (const ListingView& view : made.listings) {
            CHECK(view.listing.ask.micros_per_hour == usd(7).count);
            text += view.listing.id == a   ? "a"
                    : view.listing.id == b ? "b"
                    : view.listing.id == c ? "c"
                                           : "?";
        }
        std::sort(text.begin(), text.end());  // they come by their ids, which were made in one moment
        return text;
    };
    CHECK(changed({}, true) == "abc");
    CHECK(world.listing_row(a).version == 1);
    CHECK(changed({{}, small, {}, {}, {}}, true) == "ab");
    CHECK(changed({{}, {}, "H100", {}, {}}, true) == "c");
    CHECK(changed({{c, a}, {}, {}, {}, {}}, true) == "ac");
    CHECK(changed({{}, {}, {}, ListingState::paused, {}}, true) == "");
    CHECK(changed({{}, {}, {}, {}, "product = a100 and cards >= 1"}, true) == "ab");
    CHECK(changed({{}, large, {}, {}, "product = a100"}, true) == "");
    CHECK(changed({{}, small, "A100", ListingState::open, {}}, false) == "ab");
    CHECK(world.listing_row(a).ask.micros_per_hour == usd(7).count);
    CHECK(world.listing_row(c).ask.micros_per_hour == usd(1).count);
    CHECK(world.listing_row(e).version == 1);

    ChangeListings wrong;
    wrong.terms.term_max = hours(1);  // b's shortest term is longer
    CHECK(world.attempt(wrong, World::by(seller)) == "invalid_field");
    CHECK(world.listing_row(a).version == 2);
    for (const char* query :
         {"produkt = a100", "price <", "price > 1 order by price", "price > 1 limit 2"}) {
        ChangeListings unread;
        unread.filter.query = query;
        unread.terms.ask = ledger::Price(usd(3).count);
        CHECK(world.attempt(unread, World::by(seller)) == "invalid_field");
    }
    for (const ListingId unknown : {d, e}) {
        wrong.filter.listings = {unknown};
        CHECK(world.attempt(wrong, World::by(seller)) == "not_found");
    }
}

TEST_CASE("Different models in one listing are one price, and an order gets the cards that fit") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.rich("renter");
    const HostId host = world.enroll(seller, a_host());
    ReportInventory mixed = a_host().cards(4).inventory(world.now());
    mixed.cards[1].product = "A100";
    mixed.cards[3].product = "A100";
    mixed.cards[3].vram_bytes = gib(40);
    world.must<InventoryAccepted>(mixed, world.agent_of(host));
    world.back(host);
    const ListingId listing = world.listing(host, a_listing());
    const auto indexes = [&](const OrderBuilder& order) {
        std::string text;
        for (const CardId card : world.lease(world.rent(renter, order)).cards)
            text += std::to_string(world.state().at<Card>(card).index);
        return text;
    };
    CHECK(indexes(an_order().product("A100").vram(gib(60))) == "1");
    CHECK(indexes(an_order().product("H100").cards(2)) == "02");
    CHECK(world.attempt(PlaceOrder(an_order().product("H100").fill_or_kill()), World::by(renter)) ==
          "no_match");
    CHECK(indexes(an_order()) == "3");
    CHECK(world.state().free_cards(listing) == 0);
}

// 60 seeds × 120 steps over listings with random windows. No running lease is left to run past its window.
TEST_CASE("No lease outlives its listing's window") {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        const auto below = [&](unsigned n) { return static_cast<std::int64_t>(random() % n); };
        Offered market(a_listing());
        market.world.check_every(10);
        market.world.deposit(market.renter, usd(100'000));
        std::vector<std::pair<LeaseId, Time>> leases;
        for (int step = 0; step < 120; ++step) {
            market.world.pass(minutes(1 + below(25)));
            market.world.tick();
            for (const auto& [id, closes] : leases) {
                const Lease* lease = market.world.state().find<Lease>(id);
                if (lease == nullptr || lease->released) continue;
                if (lease->state == LeaseState::running) {
                    // The tick above may be late by the step; what was due by then is decided.
                    CHECK((market.world.now() < closes || lease->stop_reason.has_value()));
                    market.world.state_usage(id, market.world.now() - *lease->running_at);
                } else if (lease->state == LeaseState::reclaiming || lease->state == LeaseState::ended) {
                    market.world.reported(id, AgentPhase::gone);
                }
            }
            if (below(4) == 0) {
                UpdateListing change =
                    a_change(market.listing, market.world.listing_row(market.listing).version);
                const auto hour = [&] { return below(24); };
                change.terms.windows =
                    std::vector<std::string>{fmt::format("mon {:02}:00-wed {:02}:30", hour(), hour()),
                                             fmt::format("thu {:02}:00-sun {:02}:00", hour(), hour())};
                change.terms.windows_utc_offset_minutes = static_cast<std::int32_t>(below(57) - 28) * 30;
                REQUIRE(market.world.attempt(change, World::by(market.seller)) == "ok");
            }
            const Millis term = minutes(1 + below(900));
            const auto made = market.world.decide(PlaceOrder(an_order().term(term).job().fill_or_kill()),
                                                  World::by(market.renter));
            if (!made.outcome) continue;
            const Listing& listing = market.world.listing_row(market.listing);
            const Millis open =
                listing.windows.empty()
                    ? days(7)
                    : open_for(listing.windows, listing.windows_utc_offset_minutes, market.world.now());
            CHECK(open >= term);
            const LeaseId lease = std::get<OrderPlaced>(*made.outcome).lease->id;
            if (below(4) != 0) market.world.run(lease);
            leases.emplace_back(lease, market.world.now() + (open < days(7) ? open : days(365)));
        }
    }
}
