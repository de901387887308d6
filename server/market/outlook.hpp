// What a card can be expected to earn, less its power, against what it could be sold for. Pure.
//
//   net = price × utilisation × (1 − fee) − watts / 1000 × power price × utilisation        an hour
//
// Each product is taken without its fraction. Power counts while the card is leased only: what an idle card
// draws is drawn whether it is listed or not. A month has 730 hours. The card has earned its resale price
// after resale / net hours, the fraction rounded up; never, where net is not above zero.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ledger/money.hpp"
#include "market/prices.hpp"

namespace fallow::market {

inline constexpr std::int64_t hours_per_month = 730;

struct OutlookTerms {
    std::int64_t fee_ppm = 0;
    std::int64_t watts = 0;
    ledger::Micros power_price_per_kwh;
    ledger::Micros resale;
};

/// At one price and one utilisation.
struct Earning {
    ledger::Price price;
    std::int64_t utilisation_ppm = 0;
    ledger::Micros net_per_hour;
    ledger::Micros net_per_month;
    std::optional<std::int64_t> break_even_hours;
};

[[nodiscard]] Earning earning_at(ledger::Price price, std::int64_t utilisation_ppm,
                                 const OutlookTerms& terms);

/// Expected: the whole history's weighted price and utilisation. Low and high: the worst and the best day's
/// of each. Where there was no trade the price is the last best ask.
struct Outlook {
    Earning low;
    Earning expected;
    Earning high;
    bool is_price_from_trades = true;
    std::int64_t trades = 0;
    std::int64_t days = 0;  ///< with a sample or a trade
};

/// Absent while there was neither a trade nor an ask, or nothing was ever listed.
[[nodiscard]] std::optional<Outlook> outlook_of(const std::vector<Candle>& history,
                                                const OutlookTerms& terms);

}  // namespace fallow::market
