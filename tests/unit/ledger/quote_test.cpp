#include "ledger/quote.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace fallow;
using namespace fallow::ledger;

namespace {

QuoteFacts facts() {
    QuoteFacts facts;
    facts.server_key = "c2VydmVyLWtleQ==";
    facts.quote = QuoteId(RawId{0, 1});
    facts.renter = OrganizationId(RawId{0, 2});
    facts.seller = OrganizationId(RawId{0, 3});
    facts.listing = ListingId(RawId{0, 4});
    facts.count = 2;
    facts.term = minutes(90);
    facts.price = Price(1'000'001);
    facts.fee_ppm = 100'000;
    facts.stored_gib = 100;
    facts.storage_price = Micros(70'000);
    facts.moved_gib = 10;
    facts.egress_price = Micros(20'000);
    facts.quoted_at = Time(1'767'323'045'678);
    facts.expires_at = Time(1'767'323'345'678);
    return facts;
}

}  // namespace

TEST_CASE("A quote's text is exactly these bytes") {
    CHECK(quote_text(facts()) ==
          "fallow-quote-v1\n"
          "server_key: c2VydmVyLWtleQ==\n"
          "quote: quote_00000000000000000000000001\n"
          "renter: org_00000000000000000000000002\n"
          "seller: org_00000000000000000000000003\n"
          "listing: listing_00000000000000000000000004\n"
          "count: 2\n"
          "term_ms: 5400000\n"
          "price_micros_per_hour: 1000001\n"
          "fee_ppm: 100000\n"
          "stored_gib: 100\n"
          "storage_micros_per_gib_month: 70000\n"
          "moved_gib: 10\n"
          "egress_micros_per_gib: 20000\n"
          "cards_micros: 3000003\n"
          "storage_micros: 14584\n"
          "traffic_micros: 200000\n"
          "total_micros: 3214587\n"
          "fee_micros: 321458\n"
          "quoted_at: 2026-01-02T03:04:05.678Z\n"
          "expires_at: 2026-01-02T03:09:05.678Z\n");
}

TEST_CASE("The largest quote fits") {
    QuoteFacts largest = facts();
    largest.count = limits::cards_per_order_max;
    largest.term = Millis(limits::term_ms_max);
    largest.price = Price(limits::price_micros_per_hour_max);
    largest.fee_ppm = 1'000'000;
    largest.stored_gib = largest.moved_gib = limits::quoted_gib_max;
    largest.storage_price = Micros(limits::storage_micros_per_gib_month_max);
    largest.egress_price = Micros(limits::egress_micros_per_gib_max);
    const QuoteCost cost = cost_of(largest);
    CHECK(cost.cards.count == 562'176'000'000'000'000);
    CHECK(cost.storage.count == 12'200'000'000'000'000);
    CHECK(cost.traffic.count == 1'000'000'000'000'000);
    CHECK(cost.fee == cost.total);
}

TEST_CASE("The cards' part covers every charge of the term, 10,000 generated quotes") {
    std::mt19937_64 random(20'260'101);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    for (int i = 0; i < 10'000; ++i) {
        QuoteFacts quote = facts();
        quote.count = static_cast<std::int32_t>(1 + below(limits::cards_per_order_max));
        quote.term = Millis(limits::term_ms_min + below(days(30).count));
        quote.price = Price(below(limits::price_micros_per_hour_max));
        Meter meter;
        for (Millis left = quote.term; left.count > 0;) {
            const Millis step(1 + below(left.count));
            meter = advance(meter, quote.price, quote.count * 1000, step, quote.fee_ppm);
            left = left - step;
        }
        const QuoteCost cost = cost_of(quote);
        REQUIRE(meter.charged <= cost.cards);
        REQUIRE(cost.cards.count - meter.charged.count <= 1);
        REQUIRE(meter.fee <= cost.fee);
    }
}
