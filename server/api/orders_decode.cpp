#include "api/orders_decode.hpp"

#include <fmt/format.h>

#include "api/job_decode.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr std::int64_t expires_in_ms_default = days(7).count;
constexpr std::int64_t expires_in_ms_min = 1000;

std::vector<std::string> read_countries(FieldReader& reader, std::string_view name) {
    const auto countries = reader.texts(name, limits::countries_per_order_max, {.bytes_max = 2});
    for (std::size_t i = 0; i < countries.size(); ++i) {
        const std::string& code = countries[i];
        if (code.size() != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z')
            reader.fail(ErrorCode::invalid_field, fmt::format("{}/{}", name, i),
                        "Give a country as two capital letters (ISO 3166-1 alpha-2), like DE.");
    }
    return countries;
}

market::Requirements read_requirements(FieldReader& reader) {
    market::Requirements requirements;
    requirements.products =
        reader.texts("products", limits::models_per_order_max, {.bytes_max = limits::name_bytes_max});
    requirements.device_class = reader.optional_named<market::DeviceClass>("device_class");
    requirements.vram_bytes_min = reader.optional_integer("vram_bytes_min", 0, INT64_MAX);
    requirements.countries = read_countries(reader, "countries");
    requirements.countries_excluded = read_countries(reader, "countries_excluded");
    requirements.listing = reader.optional_id<ListingId>("listing_id");
    requirements.host = reader.optional_id<HostId>("host_id");
    static_cast<void>(reader.finish());
    return requirements;
}

DecodedOrder read_order(FieldReader& reader) {
    DecodedOrder decoded;
    market::PlaceOrder& order = decoded.command;
    if (auto requirements = reader.optional_object("requirements"))
        order.requirements = read_requirements(*requirements);
    order.count = reader.integer32_or("count", 1, 1, limits::cards_per_order_max);
    order.pricing = reader.named_or<market::OrderPricing>("pricing", market::OrderPricing::fixed);
    order.price_max =
        ledger::Price(reader.integer("price_max_micros_per_hour", 0, limits::price_micros_per_hour_max));
    order.term = Millis(reader.integer("term_ms", limits::term_ms_min, limits::term_ms_max));
    order.fill_or_kill = reader.boolean_or("fill_or_kill", false);
    order.expires_in = Millis(
        reader.integer_or("expires_in_ms", expires_in_ms_default, expires_in_ms_min, limits::term_ms_max));
    order.end_use = reader.optional_named<market::EndUse>("end_use");
    if (auto job = reader.optional_object("job")) {
        const JobSpec spec = read_job_spec(*job);
        if (!reader.has_failed()) {
            decoded.inputs = artifacts_of(spec);
            order.job = job_request(spec);
        }
    }
    return decoded;
}

}  // namespace

Result<DecodedOrder> decode_order(std::string_view body) {
    return decode_body(body, read_order);
}

Result<market::ChangeBid> decode_bid(std::string_view body, OrderId order) {
    return decode_body(body, [&](FieldReader& reader) {
        const std::int64_t price =
            reader.integer("price_micros_per_hour", 0, limits::price_micros_per_hour_max);
        return market::ChangeBid{order, ledger::Price(price)};
    });
}

}  // namespace fallow::api
