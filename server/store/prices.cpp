#include "store/prices.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {
namespace {

using market::Candle;
using market::CandleSpan;

/// A batch is committed well within this after its decisions' time.
constexpr Millis settling = seconds(10);
/// How far back the first roll-up of a database looks.
constexpr Millis first_history = days(30);
constexpr Millis minutes_kept = days(14);
constexpr Millis hours_kept = days(400);

/// No id that was made before `time` is as great, and none made from then on is less.
LeaseId first_lease_of(Time time) {
    constexpr int random_bits = 16;
    return LeaseId(RawId{static_cast<std::uint64_t>(time.ms) << random_bits, 0});
}

/// The candle that a card's row belongs to; nothing where the catalog does not know it.
std::optional<Candle> candle_for(const std::string& market, const pqxx::field& product,
                                 const pqxx::field& vram, Time start) {
    const auto vram_bytes = read_optional_cell<std::int64_t>(vram);
    const market::CardModel* model = market::model_of(read_cell<std::string>(product), vram_bytes);
    if (model == nullptr) return std::nullopt;
    Candle candle;
    candle.market = market;
    candle.model = model->model;
    candle.vram_gib = static_cast<std::int32_t>(market::vram_class_gib(*model, vram_bytes));
    candle.start = start;
    return candle;
}

/// Puts candles in the place of those of their span that begin at `from` or later.
void replace_candles(Transaction& tx, const std::string& market, CandleSpan span, Time from,
                     const std::vector<Candle>& candles) {
    tx.query("DELETE FROM price_candles WHERE market = $1 AND span = $2 AND start_at >= $3", market, span,
             from);
    if (!candles.empty()) tx.query_with(statements_of<Candle>().insert_sql, column_arrays(candles));
}

void forget_old(Transaction& tx, const std::string& market, Time now) {
    const auto forget = [&](CandleSpan span, Millis kept) {
        tx.query("DELETE FROM price_candles WHERE market = $1 AND span = $2 AND start_at < $3", market,
                 span, now - kept);
    };
    forget(CandleSpan::minute, minutes_kept);
    forget(CandleSpan::hour, hours_kept);
}

/// A longer span's candles from the shorter one's, from the one that `changed_from` lies in.
void roll_into(Transaction& tx, const std::string& market, CandleSpan from, CandleSpan to,
               Time changed_from) {
    const Time start = market::start_of(changed_from, to);
    replace_candles(tx, market, to, start, market::roll(read_all_candles(tx, market, from, start), to));
}

/// The row of progress, locked; nothing while another server holds it.
std::optional<Time> lock_progress(Transaction& tx, const std::string& market, Time now) {
    tx.query("INSERT INTO price_progress (market, until) VALUES ($1, $2) ON CONFLICT DO NOTHING", market,
             market::start_of(now - first_history, CandleSpan::day));
    const auto row =
        tx.query("SELECT until FROM price_progress WHERE market = $1 FOR UPDATE SKIP LOCKED", market);
    return row.empty() ? std::nullopt : std::optional(read_cell<Time>(row[0][0]));
}

}  // namespace

bool roll_up_prices(Connection& connection, const std::string& market, Time now) {
    return run_as(connection, Actor::engine(), [&](Transaction& tx) {
        const auto until = lock_progress(tx, market, now);
        const Time last = market::start_of(now - settling, CandleSpan::minute);
        if (!until || *until >= last) return false;
        const Time to = std::min(last, *until + days(1));
        std::vector<Candle> minutes = trades_between(tx, market, *until, to);
        if (to == last) {
            const auto sampled = sample_listings(tx, market, last - length_of(CandleSpan::minute));
            minutes.insert(minutes.end(), sampled.begin(), sampled.end());
        }
        replace_candles(tx, market, CandleSpan::minute, *until,
                        market::roll(std::move(minutes), CandleSpan::minute));
        roll_into(tx, market, CandleSpan::minute, CandleSpan::hour, *until);
        roll_into(tx, market, CandleSpan::hour, CandleSpan::day, *until);
        if (to == last) forget_old(tx, market, now);
        tx.query("UPDATE price_progress SET until = $2 WHERE market = $1", market, to);
        return true;
    });
}

std::optional<Time> prices_rolled_until(Transaction& tx, const std::string& market) {
    const auto row = tx.query("SELECT until FROM price_progress WHERE market = $1", market);
    return row.empty() ? std::nullopt : std::optional(read_cell<Time>(row[0][0]));
}

std::vector<Candle> sample_listings(Transaction& tx, const std::string& market, Time start) {
    const auto rows = tx.query(
        "SELECT cards.product, cards.vram_bytes, 1000 * count(*), sum(cards.used), "
        "min(listings.ask_micros_per_hour) FILTER (WHERE cards.used = 0) "
        "FROM listings CROSS JOIN LATERAL unnest(listings.card_ids) AS listed(id) "
        "JOIN cards ON cards.id = listed.id JOIN hosts ON hosts.id = listings.host_id "
        "WHERE listings.state = 'open' AND cards.state = 'present' AND hosts.state = 'online' "
        "AND hosts.unreachable_since IS NULL GROUP BY 1, 2 ORDER BY 1, 2");
    std::vector<Candle> candles;
    for (const auto& row : rows) {
        auto candle = candle_for(market, row[0], row[1], start);
        if (!candle) continue;
        candle->samples = 1;
        candle->listed_thousandths = read_cell<std::int64_t>(row[2]);
        candle->used_thousandths = read_cell<std::int64_t>(row[3]);
        candle->best_ask = read_optional_cell<ledger::Price>(row[4]);
        candles.push_back(*std::move(candle));
    }
    return candles;
}

std::vector<Candle> trades_between(Transaction& tx, const std::string& market, Time from, Time to) {
    const auto rows = tx.query(
        "SELECT leases.allocated_at / 60000 AS minute, cards.product, cards.vram_bytes, "
        "(array_agg(price_micros_per_hour ORDER BY leases.id))[1], max(price_micros_per_hour), "
        "min(price_micros_per_hour), (array_agg(price_micros_per_hour ORDER BY leases.id DESC))[1], "
        "count(*), sum(thousandths), sum(price_micros_per_hour::numeric * thousandths) "
        "FROM leases JOIN cards ON cards.id = leases.card_ids[1] "
        "WHERE leases.id >= $1 AND leases.id < $2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        first_lease_of(from), first_lease_of(to));
    std::vector<Candle> candles;
    for (const auto& row : rows) {
        const Time start(read_cell<std::int64_t>(row[0]) * length_of(CandleSpan::minute).count);
        auto candle = candle_for(market, row[1], row[2], start);
        if (!candle) continue;
        candle->open = read_cell<ledger::Price>(row[3]);
        candle->high = read_cell<ledger::Price>(row[4]);
        candle->low = read_cell<ledger::Price>(row[5]);
        candle->close = read_cell<ledger::Price>(row[6]);
        candle->trades = read_cell<std::int64_t>(row[7]);
        candle->thousandths = read_cell<std::int64_t>(row[8]);
        candle->notional = read_cell<Int128>(row[9]);
        candles.push_back(*std::move(candle));
    }
    return market::roll(std::move(candles), CandleSpan::minute);
}

std::vector<Candle> read_candles(Transaction& tx, const CandleQuery& query) {
    return read_all<Candle>(
        tx.query("SELECT " + select_list<Candle>() +
                     " FROM price_candles WHERE market = $1 AND model = $2 AND vram_gib = $3::integer AND "
                     "span = $4 AND start_at >= $5 AND start_at < $6 ORDER BY start_at",
                 query.market, query.model, query.vram_gib, query.span, query.from, query.to));
}

std::vector<Candle> read_all_candles(Transaction& tx, const std::string& market, CandleSpan span,
                                     Time from) {
    return read_all<Candle>(tx.query("SELECT " + select_list<Candle>() +
                                         " FROM price_candles WHERE market = $1 AND span = $2 AND "
                                         "start_at >= $3 ORDER BY start_at, model, vram_gib",
                                     market, span, from));
}

std::vector<Trade> read_trades(Transaction& tx, const TradeQuery& query) {
    const market::VramRange range = market::vram_range(*query.model, query.vram_gib);
    const auto rows = tx.query(
        "SELECT leases.id, allocated_at, price_micros_per_hour, cardinality(card_ids), thousandths "
        "FROM leases JOIN cards ON cards.id = leases.card_ids[1] "
        "WHERE leases.id >= $1 AND ($2::uuid IS NULL OR leases.id < $2::uuid) "
        "AND cards.product = ANY ($3::text[]) AND cards.vram_bytes > $4 AND cards.vram_bytes <= $5 "
        "ORDER BY leases.id DESC LIMIT $6",
        first_lease_of(query.from), query.before, product_names(*query.model), range.above, range.up_to,
        query.limit);
    std::vector<Trade> trades;
    for (const auto& row : rows)
        trades.push_back({read_cell<LeaseId>(row[0]), read_cell<Time>(row[1]),
                          read_cell<ledger::Price>(row[2]), read_cell<std::int64_t>(row[3]),
                          read_cell<std::int64_t>(row[4])});
    return trades;
}

std::vector<PriceLevel> read_depth(Transaction& tx, const market::CardModel& model, std::int64_t vram_gib,
                                   std::int64_t levels_max) {
    const auto rows = tx.query(
        "SELECT listings.ask_micros_per_hour, cards.product, cards.vram_bytes, sum(1000 - cards.used), "
        "count(DISTINCT listings.id) "
        "FROM cards JOIN listings ON cards.id = ANY (listings.card_ids) "
        "JOIN hosts ON hosts.id = listings.host_id "
        "WHERE cards.product = ANY ($1::text[]) AND cards.state = 'present' AND cards.used < 1000 "
        "AND listings.host_id = cards.host_id AND listings.state = 'open' AND hosts.state = 'online' "
        "AND hosts.unreachable_since IS NULL GROUP BY 1, 2, 3 ORDER BY 1",
        product_names(model));
    std::vector<PriceLevel> levels;
    for (const auto& row : rows) {
        const auto vram_bytes = read_optional_cell<std::int64_t>(row[2]);
        if (market::model_of(read_cell<std::string>(row[1]), vram_bytes) != &model ||
            market::vram_class_gib(model, vram_bytes) != vram_gib)
            continue;
        const PriceLevel level{read_cell<ledger::Price>(row[0]), read_cell<std::int64_t>(row[3]),
                               read_cell<std::int64_t>(row[4])};
        if (!levels.empty() && levels.back().ask == level.ask) {
            levels.back().thousandths += level.thousandths;
            levels.back().listings += level.listings;
        } else if (std::ssize(levels) < levels_max) {
            levels.push_back(level);
        } else {
            break;
        }
    }
    return levels;
}

std::vector<std::string> product_names(const market::CardModel& model) {
    std::vector<std::string> names;
    for (const std::string_view product : model.products)
        for (const std::string_view prefix : {std::string_view(), market::product_prefix(model.maker)})
            names.push_back(std::string(prefix) + std::string(product));
    return names;
}

}  // namespace fallow::store
