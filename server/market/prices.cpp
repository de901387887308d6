#include "market/prices.hpp"

#include <algorithm>
#include <tuple>

namespace fallow::market {
namespace {

constexpr Int128 ppm = 1'000'000;

auto place_of(const Candle& candle) {
    return std::tie(candle.market, candle.model, candle.vram_gib, candle.start);
}

template <class Choose>
void combine(std::optional<ledger::Price>& into, const std::optional<ledger::Price>& next, Choose choose) {
    if (next) into = into ? choose(*into, *next) : *next;
}

}  // namespace

Millis length_of(CandleSpan span) {
    switch (span) {
        case CandleSpan::minute:
            return minutes(1);
        case CandleSpan::hour:
            return hours(1);
        case CandleSpan::day:
            return days(1);
    }
    return minutes(1);
}

Time start_of(Time time, CandleSpan span) {
    return Time(time.ms - time.ms % length_of(span).count);
}

void merge(Candle& into, const Candle& next) {
    using ledger::Price;
    combine(into.open, next.open, [](Price first, Price) { return first; });
    combine(into.high, next.high, [](Price a, Price b) { return std::max(a, b); });
    combine(into.low, next.low, [](Price a, Price b) { return std::min(a, b); });
    combine(into.close, next.close, [](Price, Price last) { return last; });
    combine(into.best_ask, next.best_ask, [](Price, Price last) { return last; });
    into.trades += next.trades;
    into.thousandths += next.thousandths;
    into.notional += next.notional;
    into.samples += next.samples;
    into.listed_thousandths += next.listed_thousandths;
    into.used_thousandths += next.used_thousandths;
}

std::vector<Candle> roll(std::vector<Candle> candles, CandleSpan span) {
    std::stable_sort(candles.begin(), candles.end(),
                     [](const Candle& a, const Candle& b) { return place_of(a) < place_of(b); });
    std::vector<Candle> rolled;
    for (Candle& candle : candles) {
        candle.span = span;
        candle.start = start_of(candle.start, span);
        if (!rolled.empty() && place_of(rolled.back()) == place_of(candle))
            merge(rolled.back(), candle);
        else
            rolled.push_back(std::move(candle));
    }
    return rolled;
}

std::optional<ledger::Price> weighted_price(const Candle& candle) {
    if (candle.thousandths == 0) return std::nullopt;
    return ledger::Price(static_cast<std::int64_t>(candle.notional / candle.thousandths));
}

std::optional<std::int64_t> utilisation_ppm(const Candle& candle) {
    if (candle.listed_thousandths == 0) return std::nullopt;
    return static_cast<std::int64_t>(candle.used_thousandths * ppm / candle.listed_thousandths);
}

}  // namespace fallow::market
