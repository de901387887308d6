#include "market/outlook.hpp"

#include <algorithm>

namespace fallow::market {
namespace {

constexpr Int128 ppm = 1'000'000;
constexpr Int128 watts_per_kilowatt = 1000;

struct Range {
    std::optional<std::int64_t> low;
    std::optional<std::int64_t> high;

    void take(std::optional<std::int64_t> value) {
        if (!value) return;
        low = std::min(low.value_or(*value), *value);
        high = std::max(high.value_or(*value), *value);
    }
};

std::optional<std::int64_t> micros_of(const std::optional<ledger::Price>& price) {
    return price ? std::optional(price->micros_per_hour) : std::nullopt;
}

}  // namespace

Earning earning_at(ledger::Price price, std::int64_t utilisation_ppm, const OutlookTerms& terms) {
    const Int128 gross = Int128(price.micros_per_hour) * utilisation_ppm / ppm;
    const Int128 fee = gross * terms.fee_ppm / ppm;
    const Int128 power =
        Int128(terms.watts) * terms.power_price_per_kwh.count / watts_per_kilowatt * utilisation_ppm / ppm;
    const auto net = static_cast<std::int64_t>(gross - fee - power);
    Earning earning{price, utilisation_ppm, ledger::Micros(net), ledger::Micros(net * hours_per_month),
                    std::nullopt};
    if (net > 0) earning.break_even_hours = (terms.resale.count + net - 1) / net;
    return earning;
}

std::optional<Outlook> outlook_of(const std::vector<Candle>& history, const OutlookTerms& terms) {
    Candle all;
    Range prices;
    Range utilisations;
    const std::vector<Candle> by_day = roll(history, CandleSpan::day);
    for (const Candle& day : by_day) {
        merge(all, day);
        prices.take(micros_of(weighted_price(day)));
        utilisations.take(utilisation_ppm(day));
    }
    const auto expected_use = utilisation_ppm(all);
    const bool is_from_trades = all.thousandths > 0;
    const auto expected_price = is_from_trades ? weighted_price(all) : all.best_ask;
    if (!expected_price || !expected_use) return std::nullopt;
    prices.take(expected_price->micros_per_hour);
    return Outlook{earning_at(ledger::Price(*prices.low), *utilisations.low, terms),
                   earning_at(*expected_price, *expected_use, terms),
                   earning_at(ledger::Price(*prices.high), *utilisations.high, terms),
                   is_from_trades,
                   all.trades,
                   static_cast<std::int64_t>(by_day.size())};
}

}  // namespace fallow::market
