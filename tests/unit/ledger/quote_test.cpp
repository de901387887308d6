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
    facts.count = 2;
    facts.term = minutes(90);
    facts.fee_ppm = 100'000;
    facts.stored_gib = 100;
    facts.moved_gib = 10;
    facts.hosts = {{ListingId(RawId{0, 4}), OrganizationId(RawId{0, 3}), Price(1'000'001), Micros(70'000),
                    Micros(20'000)}};
    facts.quoted_at = Time(1'767'323'045'678);
    facts.expires_at = Time(1'767'323'345'678);
    return facts;
}

}  // namespace

TEST_CASE("A quote's text is exactly these bytes") {
    CHECK(quote_text(facts()) ==
          "fallow-quote-v2\n"
          "server_key: c2VydmVyLWtleQ==\n"
          "quote: quote_00000000000000000000000001\n"
          "renter: org_00000000000000000000000002\n"
          "count: 2\n"
          "thousandths: 1000\n"
          "term_ms: 5400000\n"
          "fee_ppm: 100000\n"
          "stored_gib: 100\n"
          "moved_gib: 10\n"
          "host: listing_00000000000000000000000004 org_00000000000000000000000003 1000001 70000 20000\n"
          "cards_micros: 3000003\n"
          "storage_micros: 14384\n"
          "traffic_micros: 200000\n"
          "total_micros: 3214387\n"
          "fee_micros: 321438\n"
          "quoted_at: 2026-01-02T03:04:05.678Z\n"
          "expires_at: 2026-01-02T03:09:05.678Z\n");
}

TEST_CASE("The largest quote fits") {
    QuoteFacts largest = facts();
    largest.count = limits::cards_per_order_max;
    largest.term = Millis(limits::term_ms_max);
    largest.fee_ppm = 1'000'000;
    largest.stored_gib = largest.moved_gib = limits::quoted_gib_max;
    QuotedHost dearest = largest.hosts.front();
    dearest.price = Price(limits::price_micros_per_hour_max);
    dearest.storage_price = Micros(limits::storage_micros_per_gib_month_max);
    dearest.egress_price = Micros(limits::egress_micros_per_gib_max);
    largest.hosts.assign(limits::hosts_per_order_max, dearest);
    const QuoteCost cost = cost_of(largest);
    CHECK(cost.cards.count == 16 * 562'176'000'000'000'000);
    CHECK(cost.storage.count == 16 * 12'032'876'712'328'766);
    CHECK(cost.traffic.count == 16 * 1'000'000'000'000'000);
    CHECK(cost.total > cost.cards);
    CHECK(cost.fee == cost.total);
}

TEST_CASE("A quote covers every charge of the term, 10,000 generated quotes") {
    std::mt19937_64 random(20'260'101);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    for (int i = 0; i < 10'000; ++i) {
        QuoteFacts quote = facts();
        quote.count = static_cast<std::int32_t>(1 + below(limits::cards_per_order_max));
        quote.thousandths = quote.count == 1 ? static_cast<std::int32_t>(1 + below(1000)) : 1000;
        quote.stored_gib = below(100);
        QuotedHost& host = quote.hosts.front();
        host.storage_price = Micros(below(limits::storage_micros_per_gib_month_max));
        const std::int64_t bytes = below(quote.stored_gib * bytes_per_gib + 1);
        quote.term = Millis(limits::term_ms_min + below(days(30).count));
        host.price = Price(below(limits::price_micros_per_hour_max));
        const Rate rate{host.price, quote.count * quote.thousandths,
                        storage_nanos_per_hour(host.storage_price, bytes)};
        Meter meter;
        for (Millis left = quote.term; left.count > 0;) {
            const Millis step(1 + below(left.count));
            meter = advance(meter, rate, step, quote.fee_ppm);
            left = left - step;
        }
        const QuoteCost cost = cost_of(quote);
        REQUIRE(meter.charged <= cost.cards + cost.storage);
        const Rate cards{host.price, rate.thousandths};
        REQUIRE((cost.cards - advance({}, cards, quote.term, 0).charged).count <= 1);
        REQUIRE(meter.fee <= cost.fee);
    }
}
