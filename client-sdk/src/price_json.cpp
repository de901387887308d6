#include "codec.hpp"

namespace fallow::sdk {
namespace {

/// What a candle, a summary and a history have in common.
template <class Visit, class T>
void visit_figures(const Visit& visit, T& value) {
    visit("high_micros_per_hour", value.high_micros_per_hour);
    visit("low_micros_per_hour", value.low_micros_per_hour);
    visit("close_micros_per_hour", value.close_micros_per_hour);
    visit("weighted_micros_per_hour", value.weighted_micros_per_hour);
    visit("trades", value.trades);
    visit("thousandths", value.thousandths);
    visit("utilisation_ppm", value.utilisation_ppm);
    visit("best_ask_micros_per_hour", value.best_ask_micros_per_hour);
}

}  // namespace

template <>
struct Fields<PriceCandle> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("start_at", value.start_at);
        visit("open_micros_per_hour", value.open_micros_per_hour);
        visit_figures(visit, value);
    }
};

template <>
struct Fields<PriceSummary> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("model", value.model);
        visit("vram_gib", value.vram_gib);
        visit("open_micros_per_hour", value.open_micros_per_hour);
        visit_figures(visit, value);
    }
};

template <>
struct Fields<PriceLevel> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("ask_micros_per_hour", value.ask_micros_per_hour);
        visit("thousandths", value.thousandths);
        visit("listings", value.listings);
    }
};

template <>
struct Fields<PriceHistory> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("market", value.market);
        visit("model", value.model);
        visit("vram_gib", value.vram_gib);
        visit("span", value.span);
        visit("history_ms", value.history_ms);
        visit_figures(visit, value);
        visit("depth", value.depth);
        visit("candles", value.candles);
    }
};

template <>
struct Fields<Trade> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("at", value.at);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("cards", value.cards);
        visit("thousandths", value.thousandths);
    }
};

template <>
struct Fields<Earning> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("utilisation_ppm", value.utilisation_ppm);
        visit("net_micros_per_hour", value.net_micros_per_hour);
        visit("net_micros_per_month", value.net_micros_per_month);
        visit("break_even_hours", value.break_even_hours);
    }
};

template <>
struct Fields<Outlook> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("model", value.model);
        visit("vram_gib", value.vram_gib);
        visit("history_ms", value.history_ms);
        visit("fee_ppm", value.fee_ppm);
        visit("watts", value.watts);
        visit("watts_from", value.watts_from);
        visit("power_price_micros_per_kwh", value.power_price_micros_per_kwh);
        visit("resale_micros", value.resale_micros);
        visit("price_from", value.price_from);
        visit("trades", value.trades);
        visit("days", value.days);
        visit("low", value.low);
        visit("expected", value.expected);
        visit("high", value.high);
    }
};

FALLOW_SDK_REPLY(PriceSummary);
FALLOW_SDK_REPLY(PriceHistory);
FALLOW_SDK_REPLY(Trade);
FALLOW_SDK_REPLY(Outlook);

}  // namespace fallow::sdk
