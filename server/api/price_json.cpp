#include "api/price_json.hpp"

namespace fallow::api {
namespace {

/// The members that a candle and a summary share.
void write_figures(JsonWriter& json, const market::Candle& candle) {
    json.field("open_micros_per_hour", candle.open)
        .field("high_micros_per_hour", candle.high)
        .field("low_micros_per_hour", candle.low)
        .field("close_micros_per_hour", candle.close)
        .field("weighted_micros_per_hour", market::weighted_price(candle))
        .field("trades", candle.trades)
        .field("thousandths", candle.thousandths)
        .field("utilisation_ppm", market::utilisation_ppm(candle));
}

void write(JsonWriter& json, const market::Candle& candle) {
    json.begin_object().field("start_at", candle.start);
    write_figures(json, candle);
    json.field("best_ask_micros_per_hour", candle.best_ask).end_object();
}

void write(JsonWriter& json, const store::PriceLevel& level) {
    json.begin_object()
        .field("ask_micros_per_hour", level.ask)
        .field("thousandths", level.thousandths)
        .field("listings", level.listings)
        .end_object();
}

template <class Row>
void write_list(JsonWriter& json, std::string_view name, const std::vector<Row>& rows) {
    json.key(name).begin_array();
    for (const Row& row : rows)
        write(json, row);
    json.end_array();
}

void write(JsonWriter& json, const market::Earning& earning) {
    json.begin_object()
        .field("price_micros_per_hour", earning.price)
        .field("utilisation_ppm", earning.utilisation_ppm)
        .field("net_micros_per_hour", earning.net_per_hour)
        .field("net_micros_per_month", earning.net_per_month)
        .field("break_even_hours", earning.break_even_hours)
        .end_object();
}

}  // namespace

void write_summary(JsonWriter& json, const market::Candle& candle) {
    json.begin_object().field("model", candle.model).field("vram_gib", candle.vram_gib);
    write_figures(json, candle);
    json.field("best_ask_micros_per_hour", candle.best_ask).end_object();
}

void write(JsonWriter& json, const store::Trade& trade) {
    json.begin_object()
        .field("at", trade.at)
        .field("price_micros_per_hour", trade.price)
        .field("cards", trade.cards)
        .field("thousandths", trade.thousandths)
        .end_object();
}

void write_prices(JsonWriter& json, const PricesView& view) {
    json.begin_object()
        .field("market", view.market)
        .field("model", view.all.model)
        .field("vram_gib", view.all.vram_gib)
        .field("span", view.span)
        .field("history_ms", view.history);
    write_figures(json, view.all);
    json.field("best_ask_micros_per_hour",
               view.depth.empty() ? std::nullopt : std::optional(view.depth.front().ask));
    write_list(json, "depth", view.depth);
    write_list(json, "candles", view.candles);
    json.end_object();
}

void write_outlook(JsonWriter& json, const OutlookView& view) {
    const auto& outlook = view.outlook;
    json.begin_object()
        .field("model", view.model)
        .field("vram_gib", view.vram_gib)
        .field("history_ms", view.history)
        .field("fee_ppm", view.terms.fee_ppm)
        .field("watts", view.terms.watts)
        .field("watts_from", view.are_watts_given ? "given" : "catalog")
        .field("power_price_micros_per_kwh", view.terms.power_price_per_kwh)
        .field("resale_micros", view.terms.resale)
        .field("price_from", !outlook                        ? std::optional<std::string_view>()
                             : outlook->is_price_from_trades ? "trades"
                                                             : "asks")
        .field("trades", outlook ? outlook->trades : 0)
        .field("days", outlook ? outlook->days : 0);
    const auto part = [&](std::string_view name, const market::Earning market::Outlook::*earning) {
        json.key(name);
        if (outlook)
            write(json, (*outlook).*earning);
        else
            json.null();
    };
    part("low", &market::Outlook::low);
    part("expected", &market::Outlook::expected);
    part("high", &market::Outlook::high);
    json.end_object();
}

}  // namespace fallow::api
