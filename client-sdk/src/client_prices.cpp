// What the market pays.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {
namespace {

std::string text_of(const std::optional<std::int64_t>& number) {
    return number ? std::to_string(*number) : std::string();
}

}  // namespace

Page<PriceSummary> Client::prices(const PageRequest& page) {
    return page_from_json<PriceSummary>(caller_->get("/v1/market/prices" + page_query(page)).body);
}

PriceHistory Client::price_history(std::string_view model, const PriceQuery& query) {
    const std::string path =
        route("/v1/market/prices/{}", model) + query_string({{"vram_gib", text_of(query.vram_gib)},
                                                             {"span", query.span.value_or("")},
                                                             {"history_ms", text_of(query.history_ms)}});
    return from_json<PriceHistory>(caller_->get(path).body);
}

Page<Trade> Client::trades(std::string_view model, std::optional<std::int64_t> vram_gib,
                           const PageRequest& page) {
    return page_from_json<Trade>(caller_
                                     ->get(route("/v1/market/prices/{}/trades", model) +
                                           page_query(page, {{"vram_gib", text_of(vram_gib)}}))
                                     .body);
}

Outlook Client::outlook(const OutlookQuery& query) {
    const std::string path =
        route("/v1/market/prices/{}/outlook", query.model) +
        query_string({{"vram_gib", text_of(query.vram_gib)},
                      {"history_ms", text_of(query.history_ms)},
                      {"watts", text_of(query.watts)},
                      {"power_price_micros_per_kwh", text_of(query.power_price_micros_per_kwh)},
                      {"resale_micros", text_of(query.resale_micros)}});
    return from_json<Outlook>(caller_->get(path).body);
}

}  // namespace fallow::sdk
