// Candles, and what an outlook makes of them.
#include "market/prices.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "market/outlook.hpp"
#include "support/row_text.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

constexpr std::int64_t minute = 60'000;
constexpr std::int64_t day_start = 1'799'971'200'000;  // a midnight

Candle trade(std::int64_t at, std::int64_t micros, std::int64_t thousandths = 1000,
             const std::string& model = "a30") {
    Candle candle;
    candle.market = "main";
    candle.model = model;
    candle.vram_gib = 24;
    candle.start = Time(at);
    candle.open = candle.high = candle.low = candle.close = ledger::Price(micros);
    candle.trades = 1;
    candle.thousandths = thousandths;
    candle.notional = Int128(micros) * thousandths;
    return candle;
}

Candle sample(std::int64_t at, std::int64_t listed, std::int64_t used,
              std::optional<std::int64_t> ask = std::nullopt) {
    Candle candle = trade(at, 0);
    candle.open = candle.high = candle.low = candle.close = std::nullopt;
    candle.trades = candle.thousandths = 0;
    candle.notional = 0;
    candle.samples = 1;
    candle.listed_thousandths = listed;
    candle.used_thousandths = used;
    if (ask) candle.best_ask = ledger::Price(*ask);
    return candle;
}

std::string text_of(const Candle& candle) {
    const auto price = [](const std::optional<ledger::Price>& value) {
        return value ? std::to_string(value->micros_per_hour) : std::string("-");
    };
    return price(candle.open) + ' ' + price(candle.high) + ' ' + price(candle.low) + ' ' +
           price(candle.close) + ", " + std::to_string(candle.trades) + " of " +
           std::to_string(candle.thousandths) + ", weighted " + price(weighted_price(candle));
}

}  // namespace

TEST_CASE("Prices: where a span begins") {
    const Time time(day_start + 3 * 3'600'000 + 4 * minute + 5678);
    CHECK(start_of(time, CandleSpan::minute) == Time(day_start + 184 * minute));
    CHECK(start_of(time, CandleSpan::hour) == Time(day_start + 180 * minute));
    CHECK(start_of(time, CandleSpan::day) == Time(day_start));
    CHECK(to_rfc3339(Time(day_start)).ends_with("T00:00:00.000Z"));
}

TEST_CASE("Prices: trades become candles") {
    const auto rolled =
        roll({trade(day_start + 2, 300), trade(day_start + 1, 100, 3000), trade(day_start + 3, 200),
              trade(day_start + minute, 900), trade(day_start + 4, 7, 1000, "a40")},
             CandleSpan::minute);
    REQUIRE(rolled.size() == 3);
    CHECK(text_of(rolled[0]) == "100 300 100 200, 3 of 5000, weighted 160");
    CHECK(text_of(rolled[1]) == "900 900 900 900, 1 of 1000, weighted 900");
    CHECK(rolled[2].model == "a40");
    const auto hour = roll(rolled, CandleSpan::hour);
    REQUIRE(hour.size() == 2);
    CHECK(text_of(hour[0]) == "100 900 100 900, 4 of 6000, weighted 283");
    CHECK(hour[0].start == Time(day_start));
}

TEST_CASE("Prices: samples add up to a utilisation, and an ask that is gone stays the last one seen") {
    const auto rolled = roll({sample(day_start, 4000, 1000, 50), sample(day_start + minute, 4000, 3000, 40),
                              sample(day_start + 2 * minute, 2000, 2000)},
                             CandleSpan::hour);
    REQUIRE(rolled.size() == 1);
    CHECK(utilisation_ppm(rolled[0]) == 600'000);
    CHECK(rolled[0].best_ask == ledger::Price(40));
    CHECK(rolled[0].samples == 3);
    CHECK_FALSE(weighted_price(rolled[0]));
    CHECK_FALSE(utilisation_ppm(trade(day_start, 1)));
}

TEST_CASE("Prices: rolling in two steps gives what rolling in one does, over 300 generated days") {
    std::mt19937_64 random(15);
    for (int round = 0; round < 300; ++round) {
        std::vector<Candle> minutes;
        for (int i = 0; i < 60; ++i) {
            const auto at = day_start + static_cast<std::int64_t>(random() % (3 * 1440)) * minute;
            if (random() % 2 == 0)
                minutes.push_back(trade(at, static_cast<std::int64_t>(random() % 1'000'000),
                                        1 + static_cast<std::int64_t>(random() % 64'000)));
            else
                minutes.push_back(sample(at, 8000, static_cast<std::int64_t>(random() % 8001)));
        }
        minutes = roll(minutes, CandleSpan::minute);
        const auto once = roll(minutes, CandleSpan::day);
        const auto twice = roll(roll(minutes, CandleSpan::hour), CandleSpan::day);
        REQUIRE(once.size() == twice.size());
        Int128 notional = 0;
        for (std::size_t i = 0; i < once.size(); ++i) {
            CHECK(row_text(once[i]) == row_text(twice[i]));
            CHECK(once[i].low <= once[i].high);
            notional += once[i].notional;
        }
        for (const Candle& candle : minutes)
            notional -= candle.notional;
        CHECK(to_decimal(notional) == "0");
    }
}

TEST_CASE("Outlook: what a card earns at one price") {
    struct Case {
        std::int64_t price, use_ppm, fee_ppm, watts, kwh, resale;
        std::int64_t net;
        std::optional<std::int64_t> break_even;
    };
    for (const Case& row :
         std::vector<Case>{// 0.60 × 80 % = 0.48, less 5 % = 0.456, less 425 W at 0.20 × 80 % = 0.068
                           {600'000, 800'000, 50'000, 425, 200'000, 6'000'000'000, 388'000, 15'464},
                           {600'000, 1'000'000, 0, 0, 0, 600'000, 600'000, 1},
                           {600'000, 1'000'000, 0, 0, 0, 600'001, 600'000, 2},
                           {600'000, 0, 50'000, 425, 200'000, 1, 0, std::nullopt},
                           {10'000, 1'000'000, 0, 1000, 500'000, 1, -490'000, std::nullopt},
                           {999, 333'333, 1, 1, 1, 0, 332, 0}}) {
        const OutlookTerms terms{row.fee_ppm, row.watts, ledger::Micros(row.kwh),
                                 ledger::Micros(row.resale)};
        const Earning earning = earning_at(ledger::Price(row.price), row.use_ppm, terms);
        CHECK(earning.net_per_hour == ledger::Micros(row.net));
        CHECK(earning.net_per_month == ledger::Micros(row.net * 730));
        CHECK(earning.break_even_hours == row.break_even);
    }
    // The greatest values that the API lets in stay exact.
    const OutlookTerms most{0, 100'000, ledger::Micros(1'000'000'000'000),
                            ledger::Micros(1'000'000'000'000'000)};
    CHECK(earning_at(ledger::Price(1'000'000'000'000), 1'000'000, most).net_per_hour ==
          ledger::Micros(-99'000'000'000'000));
}

TEST_CASE("Outlook: expected, worst and best day") {
    constexpr std::int64_t day = 1440 * minute;
    const OutlookTerms terms{0, 0, ledger::Micros(0), ledger::Micros(1'000'000)};
    const std::vector<Candle> history{trade(day_start, 100, 3000), sample(day_start, 1000, 200),
                                      trade(day_start + day, 300), sample(day_start + day, 1000, 800)};
    const auto outlook = outlook_of(history, terms);
    REQUIRE(outlook);
    CHECK(outlook->is_price_from_trades);
    CHECK((outlook->trades == 2 && outlook->days == 2));
    CHECK(outlook->low.price == ledger::Price(100));
    CHECK(outlook->low.utilisation_ppm == 200'000);
    CHECK(outlook->expected.price == ledger::Price(150));
    CHECK(outlook->expected.utilisation_ppm == 500'000);
    CHECK(outlook->high.price == ledger::Price(300));
    CHECK(outlook->high.utilisation_ppm == 800'000);

    const auto by_ask = outlook_of({sample(day_start, 1000, 0, 77)}, terms);
    REQUIRE(by_ask);
    CHECK_FALSE(by_ask->is_price_from_trades);
    CHECK(by_ask->expected.price == ledger::Price(77));
    CHECK_FALSE(by_ask->expected.break_even_hours);
    CHECK_FALSE(outlook_of({}, terms));
    CHECK_FALSE(outlook_of({trade(day_start, 100)}, terms));
    CHECK_FALSE(outlook_of({sample(day_start, 1000, 0)}, terms));
}
