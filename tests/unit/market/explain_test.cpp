// Explanations: the counts equal a brute-force evaluation, and every suggested change, applied, matches at
// the price that was stated.
#include "market/explain.hpp"

#include <random>

#include "market/search/index.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

template <class T>
const T& one_of(std::mt19937_64& random, const std::vector<T>& choices) {
    return choices[random() % choices.size()];
}

/// A random market: hosts of several countries, models and sizes, offers with all kinds of terms.
class Bazaar {
  public:
    explicit Bazaar(std::uint64_t seed) : random_(seed) {
        world_.check_every(1000);
        seller_ = world_.organization("seller");
        renter_ = world_.rich("renter");
        const int hosts = 3 + static_cast<int>(random_() % 5);
        for (int i = 0; i < hosts; ++i)
            add_host(i);
    }

    PlaceOrder order() {
        OrderBuilder order = an_order()
                                 .cards(1 + static_cast<std::int32_t>(random_() % 3))
                                 .price_max(usd(static_cast<std::int64_t>(random_() % 4)))
                                 .term(one_of<Millis>(random_, {minutes(5), hours(1), hours(10), days(3)}));
        if (random_() % 3 == 0) order.product(one_of(random_, products_));
        if (random_() % 3 == 0)
            order.vram(one_of(random_, std::vector{gib(24), gib(48), gib(80), gib(100)}));
        if (random_() % 4 == 0) order.in(one_of(random_, countries_));
        if (random_() % 4 == 0) order.not_in(one_of(random_, countries_));
        if (random_() % 6 == 0)
            order.device_class(random_() % 2 == 0 ? DeviceClass::gpu : DeviceClass::cpu);
        if (random_() % 8 == 0)
            order.on(one_of(random_, listings_));
        else if (random_() % 8 == 0)
            order.hosts(2 + static_cast<std::int32_t>(random_() % 2));
        else if (random_() % 8 == 0)
            order.cards(1).share(100 * (1 + static_cast<std::int32_t>(random_() % 9)));
        if (random_() % 6 == 0) order.storage_max(usd(static_cast<std::int64_t>(random_() % 3)));
        if (random_() % 6 == 0) order.sending(1, usd(static_cast<std::int64_t>(random_() % 3)));
        PlaceOrder command = order;
        if (random_() % 2 == 0) {
            command.requirements.query = query();
            REQUIRE(search::compile(command.requirements));
        }
        return command;
    }
    std::string query() {
        const std::vector<std::string> parts{"vram >= 80GiB",
                                             "price < $1.50/h",
                                             "model in (h100, h200)",
                                             "country = FR",
                                             "not country = US",
                                             "term_max >= 2d",
                                             "ram is known",
                                             "cuda >= 12.4",
                                             "cards between 2 and 3",
                                             "(model = a100 or price <= 2)",
                                             "product ~ RTX",
                                             "notice <= 1m",
                                             "free"};
        std::string text = one_of(random_, parts);
        for (std::size_t more = random_() % 3; more > 0; --more)
            text += " and " + one_of(random_, parts);
        return text;
    }

    std::mt19937_64 random_;
    World world_;
    OrganizationId seller_;
    OrganizationId renter_;
    std::vector<ListingId> listings_;

  private:
    void add_host(int number) {
        const HostBuilder builder = a_host()
                                        .name("host " + std::to_string(number))
                                        .country(one_of(random_, countries_))
                                        .product(one_of(random_, products_))
                                        .vram(one_of(random_, std::vector{gib(24), gib(48), gib(80)}))
                                        .cards(1 + static_cast<int>(random_() % 4));
        const HostId host = world_.host(seller_, builder);
        ListingBuilder listing = a_listing().ask(usd(static_cast<std::int64_t>(random_() % 4)));
        if (random_() % 3 == 0) listing.terms(hours(2), days(1));
        if (random_() % 2 == 0) listing.storage(usd(static_cast<std::int64_t>(random_() % 3)));
        if (random_() % 2 == 0) listing.egress(usd(static_cast<std::int64_t>(random_() % 3)));
        if (random_() % 3 == 0)
            listing.shares_from(one_of(random_, std::vector{200, 500}));
        else if (random_() % 4 == 0 && builder.inventory(Time()).cards.size() > 1)
            listing.bundle(2);
        if (random_() % 6 == 0) listing.available(world_.now() + hours(1), std::nullopt);
        if (random_() % 6 == 0) listing.available(std::nullopt, world_.now() + hours(5));
        listings_.push_back(world_.listing(host, listing));
        if (random_() % 4 == 0)
            static_cast<void>(
                world_.attempt(an_order().on(listings_.back()).price_max(usd(5)).operator PlaceOrder(),
                               World::by(renter_)));
        if (random_() % 8 == 0) world_.lost(host);
    }

    std::vector<std::string> countries_{"DE", "FR", "US"};
    std::vector<std::string> products_{"NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB",
                                       "NVIDIA GeForce RTX 4090"};
};

Order order_of(const PlaceOrder& command, OrganizationId renter) {
    Order order;
    order.organization = renter;
    order.requirements = command.requirements;
    order.count = command.count;
    order.thousandths = command.thousandths;
    order.hosts = command.hosts;
    order.storage_price_max = command.storage_price_max;
    order.egress_gib = command.egress_gib.value_or(0);
    order.egress_price_max = command.egress_price_max;
    order.price_max = command.price_max;
    order.term = command.term;
    return order;
}

/// The constraints that one card misses, written down a second time.
std::vector<std::string> missed(const State& state, const Order& order, const Listing& listing,
                                const Card& card, Time now) {
    const Host& host = state.at<Host>(listing.host);
    const Requirements& wanted = order.requirements;
    const auto has = [](const auto& list, const auto& item) {
        return std::find(list.begin(), list.end(), item) != list.end();
    };
    std::vector<std::string> names;
    const auto note = [&](bool is_missed, const std::string& name) {
        if (is_missed) names.push_back(name);
    };
    note(wanted.listing && *wanted.listing != listing.id, "listing");
    note(listing.state != ListingState::open, "listing_state");
    note(host.state != HostState::online || host.unreachable_since, "host_state");
    note(listing.ask.micros_per_hour > order.price_max.micros_per_hour, "price");
    note(order.storage_price_max && listing.storage_price > *order.storage_price_max, "storage_price");
    note(order.egress_price_max && listing.egress_price > *order.egress_price_max, "egress_price");
    note(order.term < listing.term_min || listing.term_max < order.term, "term");
    note((listing.available_from && *listing.available_from > now) ||
             (listing.available_until && *listing.available_until < now + order.term),
         "window");
    note((!wanted.countries.empty() && !has(wanted.countries, host.country)) ||
             has(wanted.countries_excluded, host.country),
         "country");
    note(order.count < listing.bundle_min, "bundle");
    note(order.thousandths < 1000 && order.thousandths < listing.share_min, "share");
    note(wanted.device_class && *wanted.device_class != card.device_class, "device_class");
    note(!wanted.products.empty() && !has(wanted.products, card.product), "product");
    note(wanted.vram_bytes_min && *card.vram_bytes < *wanted.vram_bytes_min, "vram");
    if (wanted.compiled) {
        for (const std::size_t node : search::conjuncts(*wanted.compiled)) {
            const search::Facts facts = search::facts_of(state, listing, &card);
            note(search::evaluate(*wanted.compiled, node, search::FactsRow(facts)) != search::Truth::yes,
                 "query " + std::string(search::text_of(*wanted.compiled, node)));
        }
    }
    note(card.used + order.thousandths > 1000, "in_use");
    return names;
}

struct Brute {
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> counts;  ///< removed, alone
    std::int64_t cards = 0;
    std::int64_t left = 0;
};

Brute brute(const State& state, const Order& order, Time now) {
    Brute sums;
    std::set<HostId> hosts;
    for (const auto& [id, listing] : state.table<Listing>()) {
        std::int64_t left = 0;
        for (const CardId card : listing.cards) {
            ++sums.cards;
            const auto names = missed(state, order, listing, state.at<Card>(card), now);
            // A condition that stands twice is counted in its first place alone.
            if (!names.empty()) ++sums.counts[names.front()].first;
            for (const std::string& name : std::set<std::string>(names.begin(), names.end()))
                ++sums.counts[name].second;
            left += names.empty() ? 1 : 0;
        }
        if (left < order.count) continue;
        sums.left += left;
        hosts.insert(listing.host);
    }
    if (std::ssize(hosts) < order.hosts) {
        if (sums.left > 0) sums.counts["hosts"].first = sums.left;
        sums.left = 0;
    }
    return sums;
}

ledger::Micros cost_of(const State& state, const Match& match, const Order& order) {
    std::int64_t micros_per_hour = 0;
    for (const Member& member : match.members)
        micros_per_hour += state.at<Listing>(member.listing).ask.micros_per_hour * order.count;
    return ledger::Micros(micros_per_hour * order.thousandths / 1000 * order.term.count / 3'600'000);
}

std::string name_of(const ConstraintCount& count) {
    std::string name(fallow::name_of(count.constraint));
    return count.condition.empty() ? name : name + " " + count.condition;
}

}  // namespace

TEST_CASE("Counts equal brute force and every change matches at its price: 2,000 orders in 200 markets") {
    std::size_t unmatched = 0;
    std::size_t changes = 0;
    std::set<std::string> kinds;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Bazaar bazaar(seed);
        const State& state = bazaar.world_.state();
        const Time now = bazaar.world_.now();
        for (int i = 0; i < 10; ++i) {
            const Order order = order_of(bazaar.order(), bazaar.renter_);
            INFO("seed " << seed << ", order " << i << " " << order.requirements.query.value_or(""));
            const Explanation explanation = explain(state, order, now);
            const Brute sums = brute(state, order, now);
            CHECK(explanation.cards == sums.cards);
            CHECK(explanation.left == sums.left);
            CHECK((explanation.left > 0) == find_match(state, order, now).has_value());
            std::set<std::string> told;
            for (const ConstraintCount& count : explanation.constraints) {
                if (count.constraint == Constraint::cards || !told.insert(name_of(count)).second) continue;
                INFO(name_of(count));
                const auto at = sums.counts.find(name_of(count));
                CHECK(count.removed == (at == sums.counts.end() ? 0 : at->second.first));
                if (count.constraint == Constraint::hosts) continue;
                CHECK(count.alone == (at == sums.counts.end() ? 0 : at->second.second));
            }
            for (const auto& [name, count] : sums.counts)
                CHECK(told.contains(name));
            if (explanation.left == 0) ++unmatched;
            for (const SingleChange& change : explanation.changes) {
                INFO(fallow::name_of(change.constraint) << ": " << change.was << " -> " << change.now);
                const auto match = find_match(state, change.order, now);
                REQUIRE(match);
                CHECK(match->members.front().listing == change.listing);
                CHECK(state.at<Listing>(change.listing).ask == change.price);
                CHECK(change.price <= change.order.price_max);
                CHECK(change.cost == cost_of(state, *match, change.order));
                kinds.insert(std::string(fallow::name_of(change.constraint)));
                ++changes;
            }
        }
    }
    CHECK(unmatched > 300);
    CHECK(changes > 300);
    for (const char* kind : {"bundle", "cards", "country", "egress_price", "hosts", "listing", "price",
                             "product", "query", "share", "storage_price", "term", "vram"})
        CHECK(kinds.contains(kind));
}

namespace {

/// A random market whose cards are booked ahead, and some of them let only by the operator's word.
class BookedBazaar {
  public:
    explicit BookedBazaar(std::uint64_t seed) : random_(seed) {
        world_.check_every(1000);
        const OrganizationId seller = world_.rich("seller");
        const OrganizationId holder = world_.rich("holder");
        renter_ = world_.organization("renter", "CN");
        world_.deposit(renter_, usd(1000));
        const std::string rule = random_() % 4 == 0 ? "deny" : "needs-approval";
        world_.must<Policy>(SetPolicy{0, rule + " dense when tpp >= 4800 and renter = CN because \"x\"\n"},
                            World::admin());
        for (int i = 0; i < 2 + static_cast<int>(random_() % 3); ++i) {
            const bool is_dense = random_() % 3 == 0;
            const HostId host = world_.host(
                seller, a_host()
                            .name("host " + std::to_string(i))
                            .product(is_dense ? "NVIDIA H100 80GB HBM3" : "NVIDIA GeForce RTX 3090")
                            .cards(1 + static_cast<int>(random_() % 3)));
            ListingBuilder offer = a_listing().ask(usd(1 + static_cast<std::int64_t>(random_() % 3)));
            world_.listing(host, offer.committed(world_.now() + days(10)));
        }
        for (int i = 0; i < 6; ++i) {
            Reserve block;
            block.count = 1;
            block.price_max = ledger::Price(usd(3).count);
            block.term = hours(1 + static_cast<std::int64_t>(random_() % 5));
            block.starts_at = world_.now() + minutes(20 + static_cast<std::int64_t>(random_() % 600));
            static_cast<void>(world_.attempt(block, World::by(holder)));
        }
    }
    Order order() {
        Order order;
        order.organization = renter_;
        order.count = 1 + static_cast<std::int32_t>(random_() % 2);
        order.price_max = ledger::Price(usd(1 + static_cast<std::int64_t>(random_() % 3)).count);
        order.term = hours(1 + static_cast<std::int64_t>(random_() % 20));
        return order;
    }

    std::mt19937_64 random_;
    World world_;
    OrganizationId renter_;
};

}  // namespace

TEST_CASE("What is booked or needs an approval is in the way until then: 1,000 orders in 200 markets") {
    std::map<Constraint, int> told;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        BookedBazaar bazaar(seed);
        const State& state = bazaar.world_.state();
        const Time now = bazaar.world_.now();
        for (int i = 0; i < 5; ++i) {
            const Order order = bazaar.order();
            INFO("seed " << seed << ", order " << i);
            const Explanation explanation = explain(state, order, now);
            CHECK((explanation.left > 0) == find_match(state, order, now).has_value());
            std::set<Constraint> changed;
            for (const SingleChange& change : explanation.changes) {
                INFO(fallow::name_of(change.constraint) << ": " << change.was << " -> " << change.now);
                const auto match = find_match(state, change.order, now);
                REQUIRE(match);
                CHECK(match->members.front().listing == change.listing);
                CHECK(state.at<Listing>(change.listing).ask == change.price);
                CHECK(change.order.end_use == order.end_use);
                ++told[change.constraint];
                changed.insert(change.constraint);
            }
            if (explanation.left > 0) continue;
            // The longest term that would do, minute by minute, and whether an approval would.
            std::optional<Millis> longest;
            for (Order shorter = order; !longest && shorter.term > minutes(1);) {
                shorter.term = shorter.term - minutes(1);
                if (find_match(state, shorter, now)) longest = shorter.term;
            }
            CHECK(changed.contains(Constraint::booked) == longest.has_value());
            for (const SingleChange& change : explanation.changes)
                if (change.constraint == Constraint::booked) CHECK(change.order.term == longest);
            Order approved = order;
            approved.approved = true;
            CHECK(changed.contains(Constraint::policy) == find_match(state, approved, now).has_value());
        }
    }
    CHECK(told[Constraint::booked] > 50);
    CHECK(told[Constraint::policy] > 50);
}

TEST_CASE("What is explained of a query is what search finds: 600 queries in 60 markets") {
    std::size_t changes = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        Bazaar bazaar(seed);
        const State& state = bazaar.world_.state();
        const Time now = bazaar.world_.now();
        for (int i = 0; i < 10; ++i) {
            const auto query = search::parse_query(bazaar.query() + " order by price");
            REQUIRE(query);
            const Explanation explanation = explain_query(state, *query, now);
            const search::Index index(state, 1);
            const auto found = [&](const search::Query& asked) {
                return index.search({asked, now, false, 1000}).rows;
            };
            INFO("seed " << seed << ": " << query->text);
            CHECK(explanation.left == std::ssize(found(*query)));
            for (const SingleChange& change : explanation.changes) {
                const auto text = change.order.requirements.query.value_or("");
                INFO(change.was << " -> " << change.now << ": " << text);
                const auto changed = search::parse_query(text);
                REQUIRE(changed);
                const auto rows = found(*changed);
                REQUIRE_FALSE(rows.empty());
                CHECK(index.at(rows[0], *search::find_field("price")).number ==
                      change.price.micros_per_hour);
                ++changes;
            }
        }
    }
    CHECK(changes > 100);
}

TEST_CASE("A fill-or-kill that finds nothing says why, and what would help") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.rich("renter");
    const HostId host = world.host(seller, a_host().cards(2).product("NVIDIA H100 80GB HBM3"));
    const ListingId listing = world.listing(host, a_listing().ask(usd(2, 50)));
    const Decision decision =
        world.decide(an_order().price_max(usd(2)).term(hours(2)).fill_or_kill().operator PlaceOrder(),
                     World::by(renter));
    REQUIRE_FALSE(decision.outcome);
    CHECK(decision.outcome.error().code == ErrorCode::no_match);
    const auto* facts = dynamic_cast<const NoMatch*>(decision.outcome.error().facts.get());
    REQUIRE(facts != nullptr);
    CHECK(facts->explanation.cards == 2);
    CHECK(facts->explanation.constraints == std::vector<ConstraintCount>{{Constraint::price, "", 2, 2}});
    REQUIRE(facts->explanation.changes.size() == 1);
    const SingleChange& change = facts->explanation.changes[0];
    CHECK(change.was == "$2.00/h");
    CHECK(change.now == "$2.50/h");
    CHECK(change.listing == listing);
    CHECK(change.cost == usd(5));
}

TEST_CASE("A filled order says what else there was") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.rich("renter");
    const ListingId cheap =
        world.listing(world.host(seller, a_host().name("one")), a_listing().ask(usd(1)));
    world.listing(world.host(seller, a_host().name("two").cards(3)), a_listing().ask(usd(1, 50)));
    world.listing(world.host(seller, a_host().name("three")), a_listing().ask(usd(9)));
    const OrderPlaced placed = world.place(renter, an_order().price_max(usd(2)));
    REQUIRE(placed.lease);
    const Explanation explanation = explain_filled(world.state(), placed.order, *placed.lease, world.now());
    REQUIRE(explanation.chosen);
    CHECK(explanation.chosen->listing == cheap);
    CHECK(explanation.chosen->because == ChosenBy::price);
    CHECK(explanation.chosen->price.micros_per_hour == usd(1).count);
    CHECK(explanation.chosen->others == 3);
    CHECK(explanation.chosen->others_price == ledger::Price(usd(1, 50).count));
}

TEST_CASE("An order takes a card that its query finds, and no other") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.rich("renter");
    world.listing(world.host(seller, a_host().name("small").vram(gib(24))), a_listing().ask(usd(1)));
    const ListingId large =
        world.listing(world.host(seller, a_host().name("large").vram(gib(80))), a_listing().ask(usd(2)));
    PlaceOrder order = an_order().price_max(usd(3));
    order.requirements.query = "vram >= 80GiB and country in (DE, FR)";
    const OrderPlaced placed = world.place(renter, order);
    REQUIRE(placed.lease);
    CHECK(placed.lease->listing == large);
    // It stands like any other, and is read anew by the next leader.
    const OrderPlaced standing = world.place(renter, order);
    CHECK(standing.order.state == OrderState::standing);
    world.reload();
    CHECK(world.order(standing.order.id).requirements.compiled != nullptr);
    world.listing(world.host(seller, a_host().name("third").vram(gib(80))), a_listing().ask(usd(2)));
    CHECK(world.order(standing.order.id).state == OrderState::filled);

    order.requirements.query = "vrm > 1GiB";
    const Decision refused = world.decide(order, World::by(renter));
    REQUIRE_FALSE(refused.outcome);
    CHECK(refused.outcome.error().pointer == "/requirements/query");
    CHECK(refused.outcome.error().detail ==
          "At character 1: There is no field \"vrm\"; did you mean \"vram\"?");
    order.requirements.query = "free order by price";
    CHECK(world.attempt(order, World::by(renter)) == "invalid_field");
}
