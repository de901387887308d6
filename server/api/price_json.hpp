// Prices, trades and outlooks as JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_writer.hpp"
#include "market/outlook.hpp"
#include "store/prices.hpp"

namespace fallow::api {

/// A series' last day as one object.
void write_summary(JsonWriter& json, const market::Candle& candle);
void write(JsonWriter& json, const store::Trade& trade);

struct PricesView {
    const market::Candle& all;
    market::CandleSpan span;
    Millis history;
    const std::string& market;
    const std::vector<store::PriceLevel>& depth;
    const std::vector<market::Candle>& candles;
};
void write_prices(JsonWriter& json, const PricesView& view);

struct OutlookView {
    std::string_view model;
    std::int64_t vram_gib = 0;
    Millis history;
    bool are_watts_given = false;
    const market::OutlookTerms& terms;
    std::optional<market::Outlook> outlook;
};
void write_outlook(JsonWriter& json, const OutlookView& view);

}  // namespace fallow::api
