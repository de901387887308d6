// What the market paid: candles of trades, and how much of what was listed was used, for each model and
// memory size. A trade is a lease's beginning, at its price for each card and hour. Pure: rows in, rows
// out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/enum.hpp"
#include "base/int128.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::market {

FALLOW_ENUM(CandleSpan, minute, hour, day)

struct Candle {
    static constexpr std::string_view table = "price_candles";
    std::string market;
    std::string model;          ///< of the catalog
    std::int32_t vram_gib = 0;  ///< vram_class_gib(): modified cards have candles of their own
    CandleSpan span = CandleSpan::minute;
    Time start;
    // Trades; the prices are absent without one
    std::optional<ledger::Price> open;
    std::optional<ledger::Price> high;
    std::optional<ledger::Price> low;
    std::optional<ledger::Price> close;
    std::int64_t trades = 0;
    std::int64_t thousandths = 0;  ///< of cards, that were leased
    Int128 notional = 0;           ///< price × thousandths, summed
    // Samples, one a minute, of the open listings
    std::optional<ledger::Price> best_ask;  ///< the last one seen
    std::int64_t samples = 0;
    std::int64_t listed_thousandths = 0;  ///< summed over the samples
    std::int64_t used_thousandths = 0;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("market", row.market);
        visit.key("model", row.model);
        visit.key("vram_gib", row.vram_gib);
        visit.key("span", row.span);
        visit.key("start_at", row.start);
        visit.field("open_micros_per_hour", row.open);
        visit.field("high_micros_per_hour", row.high);
        visit.field("low_micros_per_hour", row.low);
        visit.field("close_micros_per_hour", row.close);
        visit.field("trades", row.trades);
        visit.field("thousandths", row.thousandths);
        visit.field("notional", row.notional);
        visit.field("best_ask_micros_per_hour", row.best_ask);
        visit.field("samples", row.samples);
        visit.field("listed_thousandths", row.listed_thousandths);
        visit.field("used_thousandths", row.used_thousandths);
    }
};

[[nodiscard]] Millis length_of(CandleSpan span);
/// The beginning of the minute, hour or day (UTC) that `time` is in.
[[nodiscard]] Time start_of(Time time, CandleSpan span);

/// Takes a candle into another of the same model and memory; `next` begins no earlier.
void merge(Candle& into, const Candle& next);

/// Shorter candles, in any order, as candles of `span`; by model, memory and start.
[[nodiscard]] std::vector<Candle> roll(std::vector<Candle> candles, CandleSpan span);

/// The volume-weighted price, without its fraction.
[[nodiscard]] std::optional<ledger::Price> weighted_price(const Candle& candle);
/// Used of listed in parts per million; absent while nothing was listed.
[[nodiscard]] std::optional<std::int64_t> utilisation_ppm(const Candle& candle);

}  // namespace fallow::market
