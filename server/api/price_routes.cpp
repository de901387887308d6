// What the market pays: prices, candles, depth, trades, and a seller's outlook. Any key may ask; nothing
// here tells who traded.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "api/price_json.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "store/prices.hpp"

namespace fallow::api {
namespace {

using enum http::Method;
using market::Candle;
using market::CandleSpan;

constexpr std::string_view prices_tag = "prices";
constexpr std::string_view trades_tag = "trades";
constexpr std::int64_t vram_gib_max = 4096;
constexpr std::int64_t depth_levels_max = 50;
constexpr Millis summary_span = hours(24);
constexpr Millis trades_shown = hours(24);
constexpr Millis history_default = days(7);
/// What is not rolled up yet is aggregated from leases, but no longer a span than this.
constexpr Millis tail_max = hours(1);

/// The model and memory size that a request is about.
struct Series {
    const market::CardModel* model = nullptr;
    std::int64_t vram_gib = 0;
};

Result<Series> read_series(const Call& call) {
    Series series{market::find_model(call.parameter("model")), 0};
    if (series.model == nullptr)
        return refuse(ErrorCode::not_found, "The catalog has no such model; GET /v1/catalog lists them.");
    const auto gib = query_integer(call.request(), "vram_gib",
                                   market::vram_class_gib(*series.model, std::nullopt), 1, vram_gib_max);
    if (!gib) return gib.error();
    series.vram_gib = *gib;
    return series;
}

/// How much of the past is asked for, in a number of candles that one reply may hold.
Result<Millis> read_history(const http::Request& request, CandleSpan span) {
    const std::int64_t length = market::length_of(span).count;
    const std::int64_t max = length * limits::candles_per_reply_max;
    const auto history =
        query_integer(request, "history_ms", std::min(history_default.count, max), length, max);
    if (!history) return history.error();
    return Millis(*history);
}

bool is_of(const Candle& candle, const Series& series) {
    return candle.model == series.model->model && candle.vram_gib == series.vram_gib;
}

/// Candles of the series from `from` on, the trades of this very moment counted in; in a market too young
/// for a sample, the listings as they are.
std::vector<Candle> history_of(JobCall& call, const Series& series, CandleSpan span, Time from) {
    const std::string& market = call.services.config.market;
    const Time now = call.services.now();
    std::vector<Candle> candles =
        store::read_candles(call.tx, {market, std::string(series.model->model), series.vram_gib, span,
                                      market::start_of(from, span), now + Millis(1)});
    const Time rolled = store::prices_rolled_until(call.tx, market).value_or(Time(0));
    for (Candle& candle :
         store::trades_between(call.tx, market, std::max(rolled, now - tail_max), now + Millis(1)))
        if (is_of(candle, series)) candles.push_back(std::move(candle));
    const bool is_sampled =
        std::ranges::any_of(candles, [](const Candle& candle) { return candle.samples > 0; });
    if (!is_sampled)
        for (Candle& candle : store::sample_listings(call.tx, market, now))
            if (is_of(candle, series)) candles.push_back(std::move(candle));
    return market::roll(std::move(candles), span);
}

Result<http::Reply> list_prices(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), prices_tag, 2);
    if (!page) return page.error();
    const Time from = market::start_of(call.services.now() - summary_span, CandleSpan::hour);
    // By place in the catalog, then memory: the cursor's key.
    std::map<std::pair<std::int64_t, std::int64_t>, Candle> by_series;
    for (const Candle& candle :
         store::read_all_candles(call.tx, call.services.config.market, CandleSpan::hour, from)) {
        const market::CardModel* model = market::find_model(candle.model);
        if (model == nullptr) continue;
        const std::pair<std::int64_t, std::int64_t> key{model - market::card_models().data(),
                                                        candle.vram_gib};
        if (page->after && key <= std::pair{page->after->numbers[0], page->after->numbers[1]}) continue;
        const auto [at, is_new] = by_series.try_emplace(key, candle);
        if (!is_new) market::merge(at->second, candle);
    }
    using Row = std::pair<std::pair<std::int64_t, std::int64_t>, Candle>;
    std::vector<Row> rows(by_series.begin(), by_series.end());
    rows.resize(std::min(rows.size(), static_cast<std::size_t>(page->limit + 1)));
    return list_reply(
        rows, page->limit, prices_tag,
        [](JsonWriter& json, const Row& row) { write_summary(json, row.second); },
        [](const Row& row) {
            return CursorKey{{row.first.first, row.first.second}, RawId{}};
        });
}

Result<http::Reply> get_prices(JobCall& call) {
    if (const Status good = check_query(call.request(), {"vram_gib", "span", "history_ms"}); !good)
        return good.error();
    const auto series = read_series(call);
    if (!series) return series.error();
    CandleSpan span = CandleSpan::hour;
    if (const std::string* wanted = call.request().query_value("span")) {
        const auto found = parse_enum<CandleSpan>(*wanted);
        if (!found)
            return refuse(ErrorCode::invalid_field,
                          fmt::format("Give one of: {}.", all_names<CandleSpan>()), "query:span");
        span = *found;
    }
    const auto history = read_history(call.request(), span);
    if (!history) return history.error();
    const auto candles = history_of(call, *series, span, call.services.now() - *history);
    Candle all;
    all.model = series->model->model;
    all.vram_gib = static_cast<std::int32_t>(series->vram_gib);
    for (const Candle& candle : candles)
        market::merge(all, candle);
    const auto depth = store::read_depth(call.tx, *series->model, series->vram_gib, depth_levels_max);
    JsonWriter json(256 * candles.size() + 1024);
    write_prices(json, {all, span, *history, call.services.config.market, depth, candles});
    return json_reply(json.take());
}

Result<http::Reply> list_trades(JobCall& call) {
    const Status good = check_query(call.request(), {"vram_gib", "limit", "cursor"});
    if (!good) return good.error();
    const auto series = read_series(call);
    if (!series) return series.error();
    const auto page = read_page(call.request(), trades_tag, 0);
    if (!page) return page.error();
    const Time now = call.services.now();
    const auto trades = store::read_trades(
        call.tx, {series->model, series->vram_gib, now - trades_shown,
                  page->after ? std::optional(LeaseId(page->after->id)) : std::nullopt, page->limit + 1});
    return list_reply(
        trades, page->limit, trades_tag,
        [](JsonWriter& json, const store::Trade& trade) { write(json, trade); },
        [](const store::Trade& trade) {
            return CursorKey{{}, trade.lease.raw};
        });
}

Result<market::OutlookTerms> read_terms(JobCall& call) {
    const http::Request& request = call.request();
    constexpr std::int64_t watts_max = 100'000;
    const auto watts = query_integer(request, "watts", -1, 0, watts_max);
    if (!watts) return watts.error();
    const auto power =
        query_integer(request, "power_price_micros_per_kwh", 0, 0, limits::price_micros_per_hour_max);
    if (!power) return power.error();
    const auto resale = query_integer(request, "resale_micros", 0, 0, limits::amount_micros_max);
    if (!resale) return resale.error();
    const auto fee =
        call.tx.query("SELECT fee_ppm FROM market_settings WHERE market = $1", call.services.config.market);
    market::OutlookTerms terms;
    terms.fee_ppm = fee.empty() ? 0 : store::read_cell<std::int32_t>(fee[0][0]);
    terms.watts = *watts;
    terms.power_price_per_kwh = ledger::Micros(*power);
    terms.resale = ledger::Micros(*resale);
    return terms;
}

Result<http::Reply> get_outlook(JobCall& call) {
    const Status good = check_query(
        call.request(), {"vram_gib", "history_ms", "watts", "power_price_micros_per_kwh", "resale_micros"});
    if (!good) return good.error();
    const auto series = read_series(call);
    if (!series) return series.error();
    const auto history = read_history(call.request(), CandleSpan::hour);
    if (!history) return history.error();
    auto terms = read_terms(call);
    if (!terms) return terms.error();
    const bool are_watts_given = call.request().query_value("watts") != nullptr;
    if (!are_watts_given && !series->model->tdp_watts)
        return refuse(ErrorCode::missing_field,
                      "The catalog does not know what the model draws: measure it and give watts.",
                      "query:watts");
    if (!are_watts_given) terms->watts = *series->model->tdp_watts;
    const auto candles = history_of(call, *series, CandleSpan::hour, call.services.now() - *history);
    JsonWriter json;
    write_outlook(json, {series->model->model, series->vram_gib, *history, are_watts_given, *terms,
                         market::outlook_of(candles, *terms)});
    return json_reply(json.take());
}

}  // namespace

void add_price_routes(std::vector<Route>& routes) {
    const auto any = Access::any_key();
    const auto as_admin = JobHandler::As::admin;
    routes.push_back(
        {get, "/v1/market/prices", any, no_body, not_keyed, JobHandler{list_prices, as_admin}});
    routes.push_back(
        {get, "/v1/market/prices/{model}", any, no_body, not_keyed, JobHandler{get_prices, as_admin}});
    routes.push_back({get, "/v1/market/prices/{model}/trades", any, no_body, not_keyed,
                      JobHandler{list_trades, as_admin}});
    routes.push_back({get, "/v1/market/prices/{model}/outlook", any, no_body, not_keyed,
                      JobHandler{get_outlook, as_admin}});
}

}  // namespace fallow::api
