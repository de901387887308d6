#include "ledger/metering.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::ledger;
using fallow::testing::text_table;

TEST_CASE("A charge is the floor of price × thousandths × time, the fee the floor of its part") {
    for (const auto& row : text_table(R"(
        price         | thousandths | ms          | fee ppm | charged             | fee
        3600000       | 1000        | 1           | 0       | 1                   | 0
        3599999       | 1000        | 1           | 0       | 0                   | 0
        3600000       | 1000        | 3600000     | 50000   | 3600000             | 180000
        2500000       | 2000        | 1800000     | 0       | 2500000             | 0
        1             | 1           | 3600000     | 0       | 0                   | 0
        1             | 1000        | 3599999     | 0       | 0                   | 0
        1             | 1000        | 3600000     | 1000000 | 1                   | 1
        0             | 64000       | 31622400000 | 500000  | 0                   | 0
        1000000000000 | 64000       | 31622400000 | 500000  | 562176000000000000  | 281088000000000000
        1999999       | 333         | 1234567     | 33333   | 228394              | 7613
    )")) {
        INFO(row["price"] << " for " << row["ms"] << " ms");
        const Meter meter = advance(
            Meter{}, {Price(row.number("price")), static_cast<std::int32_t>(row.number("thousandths"))},
            Millis(row.number("ms")), static_cast<std::int32_t>(row.number("fee ppm")));
        CHECK(meter.charged.count == row.number("charged"));
        CHECK(meter.fee.count == row.number("fee"));
        CHECK(meter.running.count == row.number("ms"));
    }
}

TEST_CASE("However a span is cut into pieces, it costs the same") {
    std::mt19937_64 random(20260101);
    for (int round = 0; round < 300; ++round) {
        const Price price(static_cast<std::int64_t>(random() % 3'000'000'000));
        const auto thousandths = static_cast<std::int32_t>(1 + random() % 64'000);
        const auto storage = static_cast<std::int64_t>(random() % 2 * (random() % 9'000'000'000));
        const auto fee_ppm = static_cast<std::int32_t>(random() % 1'000'001);
        const std::int64_t total = static_cast<std::int64_t>(random() % 100'000'000);
        const Meter whole = advance(Meter{}, {price, thousandths, storage}, Millis(total), fee_ppm);
        Meter pieces;
        std::int64_t sum_of_charges = 0;
        std::int64_t sum_of_fees = 0;
        for (std::int64_t left = total; left > 0;) {
            const std::int64_t piece =
                std::min<std::int64_t>(left, static_cast<std::int64_t>(random() % 3'000'000));
            const Meter next = advance(pieces, {price, thousandths, storage}, Millis(piece), fee_ppm);
            REQUIRE(next.charged >= pieces.charged);
            REQUIRE(next.fee >= pieces.fee);
            REQUIRE(next.fee - pieces.fee <= next.charged - pieces.charged);
            sum_of_charges += (next.charged - pieces.charged).count;
            sum_of_fees += (next.fee - pieces.fee).count;
            pieces = next;
            left -= piece;
        }
        CHECK(pieces == whole);
        CHECK(sum_of_charges == whole.charged.count);
        CHECK(sum_of_fees == whole.fee.count);
    }
}

TEST_CASE("A GiB sent costs its price, a MiB a 1,024th of it, in one sum with the time") {
    CHECK(advance(Meter{}, {Price(0), 1}, Millis(0), 0, {Micros(640'000), 1024}).charged ==
          Micros(640'000));
    CHECK(advance(Meter{}, {Price(0), 1}, Millis(0), 0, {Micros(1), 1023}).charged == Micros(0));
    // 1023 MiB at a micro a GiB, and the 1024th part of a micro of time, make one.
    Meter meter = advance(Meter{}, {Price(1'000), 1000}, Millis(3), 0, {Micros(1), 1023});
    CHECK(meter.charged == Micros(0));
    meter = advance(meter, {Price(1'000), 1000}, Millis(1), 0);
    CHECK(meter.charged == Micros(1));
    CHECK(meter.egress_mib == 1023);
    CHECK(traffic_part(meter, Micros(1)) == Micros(1));
    CHECK(cost_ceiling(Traffic{Micros(1), 1}) == Micros(1));
    CHECK(cost_ceiling(Traffic{Micros(1'000'000'000), 1'024'000'000}) == Micros(1'000'000'000'000'000));
}

TEST_CASE("However traffic and time are cut into pieces, they cost the same") {
    std::mt19937_64 random(20'261'129);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    for (int round = 0; round < 1000; ++round) {
        const Rate rate{Price(below(3'000'000'000)), static_cast<std::int32_t>(1 + below(64'000)),
                        below(2) * below(9'000'000'000)};
        const Micros per_gib(below(1'000'000'001));
        Meter meter;
        Micros sum(0);
        for (int piece = 0; piece < 20; ++piece) {
            const Meter next = advance(meter, rate, Millis(below(3'000'000)), 70'000,
                                       {per_gib, below(3) * below(5'000'000)});
            sum = sum + (next.charged - meter.charged);
            REQUIRE(next.fee - meter.fee <= next.charged - meter.charged);
            meter = next;
        }
        const Traffic traffic{per_gib, meter.egress_mib};
        CHECK(advance(Meter{}, rate, meter.running, 70'000, traffic) == meter);
        CHECK(sum == meter.charged);
        CHECK(traffic_part(meter, per_gib) ==
              meter.charged - advance(Meter{}, rate, meter.running, 0).charged);
        CHECK(cost_ceiling(traffic) - traffic_part(meter, per_gib) <= Micros(1));
        CHECK(traffic_part(meter, per_gib) <= cost_ceiling(traffic));
    }
}

TEST_CASE("Funds cover time beside traffic that is still to come, and all of that traffic") {
    std::mt19937_64 random(815);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    for (int round = 0; round < 2000; ++round) {
        const Rate rate{Price(1 + below(5'000'000'000)), static_cast<std::int32_t>(1 + below(8000)), 0};
        const Traffic to_come{Micros(below(2'000'000)), below(20'000)};
        const Meter meter = advance(Meter{}, rate, Millis(below(10'000'000)), 0, {to_come.per_gib, 77});
        const Micros funds = cost_ceiling(to_come) + Micros(below(50'000'000));
        const Millis span = covered_by(meter, rate, funds, to_come);
        if (span.count == limits::term_ms_max) continue;
        const auto cost = [&](Millis of) {
            return advance(meter, rate, of, 0, to_come).charged - meter.charged;
        };
        CHECK(cost(span) <= funds);
        CHECK(cost(span + Millis(1)) > funds);
    }
    CHECK(covered_by(Meter{}, {Price(1), 1000}, Micros(9), {Micros(1024), 10}).count == 0);
}

TEST_CASE("A meter adds segments of different prices before it rounds") {
    Meter meter = advance(Meter{}, {Price(1'800'000), 1000}, Millis(1), 0);
    CHECK(meter.charged.count == 0);
    meter = advance(meter, {Price(1'800'001), 1000}, Millis(1), 0);
    CHECK(meter.charged.count == 1);
}

TEST_CASE("Storage costs its price for 730 hours, to a thousandth of a micro per hour") {
    for (const auto& row : text_table(R"(
        per GiB-month | bytes          | nanos per hour
        730           | 1073741824     | 1000
        730           | 1073741823     | 999
        70000         | 107374182400   | 9589041
        1             | 1073741824     | 1
        1             | 1048576        | 0
        0             | 17592186044416 | 0
        1000000000    | 17592186044416 | 22443835616438
    )")) {
        INFO(row["per GiB-month"] << " for " << row["bytes"]);
        CHECK(storage_nanos_per_hour(Micros(row.number("per GiB-month")), row.number("bytes")) ==
              row.number("nanos per hour"));
    }
}

TEST_CASE("A month of a GiB costs the price of a GiB-month, beside the cards and in one sum with them") {
    const std::int64_t storage = storage_nanos_per_hour(Micros(73'000), std::int64_t{1} << 30);
    CHECK(advance(Meter{}, {Price(0), 1000, storage}, hours(730), 0).charged == Micros(73'000));
    CHECK(hourly({Price(2'000'000), 500, storage}) == Micros(1'000'100));
    CHECK(hourly({Price(0), 500, 1}) == Micros(1));
    // Half a micro of each makes one.
    CHECK(advance(Meter{}, {Price(1), 500, 500}, hours(1), 0).charged == Micros(1));
}

TEST_CASE("covered_by is the longest span that the funds pay") {
    std::mt19937_64 random(4711);
    for (int round = 0; round < 2000; ++round) {
        const Price price(static_cast<std::int64_t>(1 + random() % 5'000'000'000));
        const auto thousandths = static_cast<std::int32_t>(1 + random() % 8000);
        const auto storage = static_cast<std::int64_t>(random() % 2 * (random() % 9'000'000'000));
        const Meter meter = advance(Meter{}, {price, thousandths, storage},
                                    Millis(static_cast<std::int64_t>(random() % 10'000'000)), 0);
        const Micros funds(static_cast<std::int64_t>(random() % 50'000'000));
        const Millis span = covered_by(meter, {price, thousandths, storage}, funds);
        REQUIRE(span.count >= 0);
        if (span.count == limits::term_ms_max) continue;
        const auto cost = [&](Millis of) {
            return advance(meter, {price, thousandths, storage}, of, 0).charged - meter.charged;
        };
        CHECK(cost(span) <= funds);
        CHECK(cost(span + Millis(1)) > funds);
    }
}

TEST_CASE("What is free is covered for as long as a lease can last") {
    CHECK(covered_by(Meter{}, {Price(0), 1000}, Micros(0)).count == limits::term_ms_max);
    CHECK(covered_by(Meter{}, {Price(1), 1}, Micros(limits::amount_micros_max)).count ==
          limits::term_ms_max);
}

TEST_CASE("cost_ceiling is enough for its span, and one micro less may not be") {
    std::mt19937_64 random(99);
    for (int round = 0; round < 2000; ++round) {
        const Price price(static_cast<std::int64_t>(random() % 5'000'000'000));
        const auto thousandths = static_cast<std::int32_t>(1 + random() % 8000);
        const auto storage = static_cast<std::int64_t>(random() % 2 * (random() % 9'000'000'000));
        const Millis span(static_cast<std::int64_t>(random() % 10'000'000));
        const Micros ceiling = cost_ceiling({price, thousandths, storage}, span);
        const Meter meter = advance(Meter{}, {price, thousandths, storage},
                                    Millis(static_cast<std::int64_t>(random() % 10'000'000)), 0);
        CHECK(advance(meter, {price, thousandths, storage}, span, 0).charged - meter.charged <= ceiling);
        CHECK(covered_by(meter, {price, thousandths, storage}, ceiling) >= span);
        CHECK(ceiling - advance(Meter{}, {price, thousandths, storage}, span, 0).charged <= Micros(1));
    }
}

TEST_CASE("The fee of a cumulative charge is a floor") {
    for (const auto& row : text_table(R"(
        charged          | ppm     | fee
        0                | 500000  | 0
        1                | 999999  | 0
        1                | 1000000 | 1
        19               | 50000   | 0
        20               | 50000   | 1
        1000000000000000 | 1000000 | 1000000000000000
    )"))
        CHECK(fee_of(Micros(row.number("charged")), static_cast<std::int32_t>(row.number("ppm"))).count ==
              row.number("fee"));
}
