// The search index beside the market that it is of: equal after any commands, and pages that neither miss
// nor repeat while the market changes.
#include <algorithm>

#include "market/explain.hpp"
#include "market/search/index.hpp"
#include "support/market_walk.hpp"

using namespace fallow;
using namespace fallow::testing;
using namespace fallow::market::search;

namespace {

void feed(Index& index, const std::vector<market::Entry>& entries, std::int64_t sequence) {
    for (const market::Entry& entry : entries) {
        if (entry.after)
            index.put(*entry.after);
        else
            index.remove(*entry.before);
    }
    index.settle(sequence);
}

Query query_of(const std::string& text) {
    auto query = parse_query(text);
    if (!query) FAIL(query.error().detail);
    return *std::move(query);
}

using Shown = std::pair<ListingId, CardId>;

std::vector<Shown> shown(const Index& index, const Found& found) {
    std::vector<Shown> rows;
    for (const std::size_t row : found.rows)
        rows.emplace_back(index.listing(row), index.card(row));
    return rows;
}

/// A market of many small offers, in few prices and countries, so that much is equal.
class Fair {
  public:
    explicit Fair(int hosts) {
        seller_ = world_.organization("seller");
        renter_ = world_.rich("renter");
        world_.deposit(renter_, usd(100'000));
        for (int i = 0; i < hosts; ++i) {
            const HostId host = world_.host(
                seller_, a_host()
                             .name("host " + std::to_string(i))
                             .country(i % 2 == 0 ? "DE" : "FR")
                             .product(i % 3 == 0 ? "NVIDIA A100-SXM4-80GB" : "NVIDIA H100 80GB HBM3")
                             .cards(2));
            listings_.push_back(world_.listing(host, a_listing().ask(usd(1 + i % 4))));
        }
    }
    World world_;
    OrganizationId seller_;
    OrganizationId renter_;
    std::vector<ListingId> listings_;
};

}  // namespace

TEST_CASE("The index equals the database after 6,000 random commands") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Walk walk(seed, 0);
        Index index(walk.world().state(), 1);
        std::int64_t sequence = 1;
        bool had_rows = false;
        walk.world().on_decided([&](const market::Command&, const market::Caller&, std::uint64_t) {
            feed(index, walk.world().last_entries(), ++sequence);
        });
        for (int i = 0; i < 1200; ++i) {
            walk.step();
            if (i % 60 != 0) continue;
            INFO("seed " << seed << ", step " << i);
            const market::State database =
                state_of(walk.world().database().load(), walk.world().state().rules());
            CHECK(index.text() == Index(database, sequence).text());
            CHECK(index.sequence() == sequence);
            had_rows = had_rows || !index.text().empty();
        }
        CHECK(had_rows);
    }
}

TEST_CASE("What is over leaves the index: blocks that were cancelled, listings that were withdrawn") {
    World world;
    const OrganizationId seller = world.rich("seller");
    const OrganizationId renter = world.rich("renter");
    const ListingId listing =
        world.listing(world.host(seller, a_host().cards(2)), a_listing().committed(world.now() + days(10)));
    Index index(world.state(), 1);
    std::int64_t sequence = 1;
    world.on_decided([&](const market::Command&, const market::Caller&, std::uint64_t) {
        feed(index, world.last_entries(), ++sequence);
    });
    for (int i = 0; i < 20; ++i) {
        market::Reserve block;
        block.count = 2;
        block.price_max = ledger::Price(usd(2).count);
        block.term = hours(10);
        block.starts_at = world.now() + days(2);
        const auto booked = world.must<market::Reservation>(block, World::by(renter));
        CHECK(index.state().table<market::Booking>().size() == 2);
        world.must<market::Reservation>(market::CancelReservation{booked.id}, World::by(renter));
        CHECK(index.state().table<market::Booking>().empty());
        CHECK(index.state().table<market::Reservation>().empty());
    }
    world.must<market::ListingView>(market::WithdrawListing{listing}, World::by(seller));
    CHECK(index.state().table<market::Listing>().empty());
    CHECK(index.text().empty());
}

TEST_CASE("A card outside of its listing's weekly windows is not found, and an explanation says so") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const ListingId listing = world.listing(world.host(seller, a_host()), a_listing());
    // It is Friday, 08:00 UTC: half an hour is left by a clock that is an hour ahead.
    market::UpdateListing change;
    change.listing = listing;
    change.version = world.listing_row(listing).version;
    change.terms.windows = {"fri 07:30-fri 09:30"};
    change.terms.windows_utc_offset_minutes = 60;
    REQUIRE(world.attempt(change, World::by(seller)) == "ok");
    const Index index(world.state(), 1);
    const Query query = query_of("open_per_week = 2h");
    for (const auto& [later, wanted] : {std::pair{minutes(0), 1U},
                                        {minutes(30) - Millis(1), 1U},
                                        {minutes(30), 0U},
                                        {days(7) - hours(1) - minutes(30), 1U}}) {
        INFO(later.count);
        const Time now = world.now() + later;
        CHECK(index.search({query, now, false, 10}).rows.size() == wanted);
        CHECK(index.search({query, now, true, 10}).rows.size() == 1);
        CHECK(market::explain_query(index.state(), query, now).left == wanted);
    }
}

TEST_CASE("A card shows its pool's spot price, and follows it") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const auto offer = [&](const std::string& host, const ListingBuilder& terms) {
        world.listing(world.host(seller, a_host().name(host)), terms);
    };
    offer("dear", a_listing().floor(usd(0, 80)));
    offer("no spot", a_listing());
    Index index(world.state(), 1);
    std::int64_t sequence = 1;
    world.on_decided([&](const market::Command&, const market::Caller&, std::uint64_t) {
        feed(index, world.last_entries(), ++sequence);
    });
    const auto shown_prices = [&] {
        std::string prices;
        for (const std::size_t row :
             index.search({query_of("order by spot_price, listing"), world.now(), false, 10}).rows) {
            const Value price = index.at(row, *find_field("spot_price"));
            prices += (price.is_known ? write_value(Kind::price, price.number) : "unknown") + " ";
        }
        return prices;
    };
    world.tick_after(minutes(1));
    CHECK(shown_prices() == "$0.80/h unknown ");
    offer("cheap", a_listing().floor(usd(0, 50)));
    world.tick_after(minutes(1));
    CHECK(shown_prices() == "$0.50/h $0.50/h unknown ");
    CHECK(index.text() == Index(world.state(), sequence).text());
}

TEST_CASE("Search is in the documented order and knows what can be leased") {
    Fair fair(8);
    const Index index(fair.world_.state(), 1);
    const Time now = fair.world_.now();
    const auto all = index.search({query_of(""), now, false, 100});
    REQUIRE(all.rows.size() == 16);
    CHECK(all.total == 16);
    CHECK_FALSE(all.next);
    for (std::size_t i = 1; i < all.rows.size(); ++i) {
        const auto key = [&](std::size_t row) {
            return std::tuple{index.at(row, *find_field("price")).number, index.listing(row),
                              index.card(row)};
        };
        CHECK(key(all.rows[i - 1]) < key(all.rows[i]));
    }
    CHECK(index.search({query_of("model = h100"), now, false, 100}).rows.size() == 10);
    CHECK(index.search({query_of("model = h100 limit 3"), now, false, 100}).rows.size() == 3);
    CHECK(index.search({query_of("price >= 4"), now, false, 100}).rows.size() == 4);
    const auto dear = index.search({query_of("order by country desc, price desc"), now, false, 1});
    CHECK(index.at(dear.rows[0], *find_field("country")).text == "FR");
    CHECK(index.at(dear.rows[0], *find_field("price")).number == usd(4).count);

    fair.world_.rent(fair.renter_, an_order().price_max(usd(1)).cards(2));
    const Index later(fair.world_.state(), 2);
    CHECK(later.search({query_of(""), now, false, 100}).rows.size() == 14);
    CHECK(later.search({query_of(""), now, true, 100}).rows.size() == 16);
    CHECK(later.search({query_of("not free"), now, true, 100}).rows.size() == 2);
}

TEST_CASE("Facets count what was found, with its prices") {
    Fair fair(8);
    const Index index(fair.world_.state(), 1);
    const auto found = index.search({query_of("price < 4"), fair.world_.now(), false, 1});
    REQUIRE(found.facets.size() == 3);
    CHECK(found.facets[0].field->name == "model");
    CHECK(found.facets[0].values ==
          std::vector<FacetValue>{{"h100", 8, ledger::Price(usd(1).count), ledger::Price(usd(3).count)},
                                  {"a100", 4, ledger::Price(usd(1).count), ledger::Price(usd(3).count)}});
    CHECK(found.facets[1].values ==
          std::vector<FacetValue>{{"DE", 8, ledger::Price(usd(1).count), ledger::Price(usd(3).count)},
                                  {"FR", 4, ledger::Price(usd(2).count), ledger::Price(usd(2).count)}});
    CHECK(found.facets[2].values.size() == 1);
    CHECK(found.total == 12);
}

TEST_CASE("Pages neither miss nor repeat while the market changes: 60 markets") {
    std::size_t pages = 0;
    std::size_t changed_rows = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        std::mt19937_64 random(seed);
        Fair fair(12);
        World& world = fair.world_;
        world.check_every(50);
        Index index(world.state(), 1);
        std::int64_t sequence = 1;
        const std::vector<std::string> queries{"",
                                               "order by price desc",
                                               "order by free_cards, model",
                                               "country = DE order by model, price desc",
                                               "price <= 3",
                                               "order by measured_at desc, country limit 17"};
        const Query query = query_of(queries[seed % queries.size()]);
        std::set<Shown> changed;
        const auto change = [&] {
            const ListingId id = fair.listings_[random() % fair.listings_.size()];
            const market::Listing before = world.listing_row(id);
            if (random() % 3 == 0) {
                static_cast<void>(
                    world.attempt(an_order().on(id).price_max(usd(9)).operator market::PlaceOrder(),
                                  World::by(fair.renter_)));
            } else {
                market::UpdateListing update;
                update.listing = id;
                update.version = before.version;
                update.terms.ask = ledger::Price(usd(1 + static_cast<std::int64_t>(random() % 6)).count);
                static_cast<void>(world.attempt(update, World::by(fair.seller_)));
            }
            const std::string was = index.text();
            feed(index, world.last_entries(), ++sequence);
            if (index.text() == was) return;
            // Whatever belongs to this listing counts as changed.
            for (const CardId card : before.cards)
                changed.insert({id, card});
        };
        // Everything is asked for, so that a card that was leased is a change and no disappearance.
        Search search{query, world.now(), true, 1 + random() % 5};
        const std::vector<Shown> at_first = shown(index, index.search({query, world.now(), true, 1000}));
        std::vector<Shown> seen;
        while (true) {
            const Found page = index.search(search);
            ++pages;
            for (const Shown& row : shown(index, page))
                seen.push_back(row);
            if (!page.next) break;
            search.after = page.next;
            for (std::size_t n = random() % 3; n > 0; --n)
                change();
        }
        INFO("seed " << seed);
        std::set<Shown> once(seen.begin(), seen.end());
        CHECK(once.size() == seen.size());
        if (!query.limit)
            for (const Shown& row : at_first)
                if (!changed.contains(row)) CHECK(once.contains(row));
        if (query.limit) CHECK(std::ssize(seen) <= *query.limit);
        changed_rows += changed.size();
    }
    CHECK(pages > 200);
    CHECK(changed_rows > 100);
}
