// Candles in PostgreSQL: made from leases and listings once a minute, by whichever server comes first, and
// nothing in the path of an order. A lease's id begins with its time, so a span of leases is a span of the
// primary key. What is not rolled up yet is aggregated where it is read, so a reader sees every trade.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "market/catalog.hpp"
#include "market/prices.hpp"
#include "store/connection.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

/// Brings the candles up to the last minute that is over, a day of trades at a time, and samples the open
/// listings. False when there was nothing to do, or another server is at it.
bool roll_up_prices(Connection& connection, const std::string& market, Time now);

/// Until when trades are in the candles; nothing before the first roll-up.
[[nodiscard]] std::optional<Time> prices_rolled_until(Transaction& tx, const std::string& market);

/// Minute candles of the trades in [from, to), with no samples.
[[nodiscard]] std::vector<market::Candle> trades_between(Transaction& tx, const std::string& market,
                                                         Time from, Time to);

/// What is listed, used and asked now, as candles of the minute `start`.
[[nodiscard]] std::vector<market::Candle> sample_listings(Transaction& tx, const std::string& market,
                                                          Time start);

struct CandleQuery {
    std::string market;
    std::string model;
    std::int64_t vram_gib = 0;
    market::CandleSpan span = market::CandleSpan::hour;
    Time from;
    Time to;
};
/// Stored candles, oldest first.
[[nodiscard]] std::vector<market::Candle> read_candles(Transaction& tx, const CandleQuery& query);

/// Of every series, from `from` on, by start.
[[nodiscard]] std::vector<market::Candle> read_all_candles(Transaction& tx, const std::string& market,
                                                           market::CandleSpan span, Time from);

/// One lease's beginning. Its id orders trades; it is shown to nobody.
struct Trade {
    LeaseId lease;
    Time at;
    ledger::Price price;
    std::int64_t cards = 0;
    std::int64_t thousandths = 0;
};
struct TradeQuery {
    const market::CardModel* model = nullptr;
    std::int64_t vram_gib = 0;
    Time from;
    std::optional<LeaseId> before;
    std::int64_t limit = 0;
};
/// Newest first.
[[nodiscard]] std::vector<Trade> read_trades(Transaction& tx, const TradeQuery& query);

/// One price of the book, and what is free at it.
struct PriceLevel {
    ledger::Price ask;
    std::int64_t thousandths = 0;
    std::int64_t listings = 0;
};
/// Free cards of the model on hosts that are online, by ask; as many levels as `levels_max`.
[[nodiscard]] std::vector<PriceLevel> read_depth(Transaction& tx, const market::CardModel& model,
                                                 std::int64_t vram_gib, std::int64_t levels_max);

/// The names that drivers give the model's cards, with the maker's before them and without.
[[nodiscard]] std::vector<std::string> product_names(const market::CardModel& model);

}  // namespace fallow::store
