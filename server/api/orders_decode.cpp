#include "api/orders_decode.hpp"

#include <fmt/format.h>

#include "api/job_decode.hpp"
#include "api/quote_document.hpp"
#include "base/limits.hpp"
#include "market/search/query.hpp"

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

/// How many cards or which part of one, and on how many hosts: of an order, or of the quote for it.
template <class Command>
void read_shape(FieldReader& reader, Command& order) {
    order.count = reader.integer32_or("count", 1, 1, limits::cards_per_order_max);
    order.thousandths =
        reader.integer32_or("thousandths", limits::thousandths_per_card, 1, limits::thousandths_per_card);
    order.hosts = reader.integer32_or("hosts", 1, 1, limits::hosts_per_order_max);
    if (order.hosts > 1 && (order.requirements.host || order.requirements.listing))
        reader.fail(ErrorCode::invalid_field, "hosts",
                    "An order over several hosts cannot be for a single one.");
    if (order.hosts > 1 && order.thousandths < limits::thousandths_per_card)
        reader.fail(ErrorCode::invalid_field, "thousandths",
                    "An order over several hosts is for whole cards.");
    if (order.thousandths < limits::thousandths_per_card && order.count > 1)
        reader.fail(ErrorCode::invalid_field, "thousandths",
                    "A part of a card is of one card: leave out count, or ask for whole cards.");
}

std::optional<ledger::Micros> read_storage_price_max(FieldReader& reader) {
    const auto price = reader.optional_integer("storage_micros_per_gib_month_max", 0,
                                               limits::storage_micros_per_gib_month_max);
    return price ? std::optional(ledger::Micros(*price)) : std::nullopt;
}

std::optional<ledger::Micros> read_egress_price_max(FieldReader& reader) {
    const auto price =
        reader.optional_integer("egress_micros_per_gib_max", 0, limits::egress_micros_per_gib_max);
    return price ? std::optional(ledger::Micros(*price)) : std::nullopt;
}

/// What each host may send, and for how much.
void read_traffic(FieldReader& reader, market::PlaceOrder& order) {
    order.egress_gib = reader.optional_integer("egress_gib", 0, limits::quoted_gib_max);
    order.egress_price_max = read_egress_price_max(reader);
    order.overage_max =
        ledger::Micros(reader.integer_or("overage_micros_max", 0, 0, limits::amount_micros_max));
    if (order.quote && order.egress_price_max)
        reader.fail(ErrorCode::invalid_field, "egress_micros_per_gib_max",
                    "Leave it out: the quote is the limit.");
    if (!order.quote && !order.egress_price_max && order.egress_gib.value_or(0) > 0)
        reader.fail(ErrorCode::missing_field, "egress_micros_per_gib_max",
                    "Say what a GiB sent may cost at most, for a cheap card may have dear traffic.");
}

DecodedOrder read_order(FieldReader& reader, const auth::SigningKey& key) {
    DecodedOrder decoded;
    market::PlaceOrder& order = decoded.command;
    order.requirements = read_requirements(reader);
    read_shape(reader, order);
    order.nvlink = reader.named_or("nvlink", market::NvlinkWish::prefer);
    order.pricing = reader.named_or<market::OrderPricing>("pricing", market::OrderPricing::fixed);
    if (order.pricing == market::OrderPricing::spot &&
        (order.hosts > 1 || order.thousandths < limits::thousandths_per_card))
        reader.fail(ErrorCode::invalid_field, "pricing", "A bid is for whole cards on one host.");
    if (order.nvlink == market::NvlinkWish::require &&
        (order.count < 2 || order.pricing == market::OrderPricing::spot))
        reader.fail(
            ErrorCode::invalid_field, "nvlink",
            "Only an order at a fixed price for two cards or more of each host can require NVLink.");
    order.quote = read_quote(reader, key);
    if (!order.quote) order.price_max = read_price_max(reader);
    order.storage_price_max = read_storage_price_max(reader);
    if (order.quote && order.storage_price_max)
        reader.fail(ErrorCode::invalid_field, "storage_micros_per_gib_month_max",
                    "Leave it out: the quote is the limit.");
    read_traffic(reader, order);
    order.term = Millis(reader.integer("term_ms", limits::term_ms_min, limits::term_ms_max));
    order.fill_or_kill = reader.boolean_or("fill_or_kill", false);
    order.expires_in = Millis(
        reader.integer_or("expires_in_ms", expires_in_ms_default, expires_in_ms_min, limits::term_ms_max));
    order.end_use = reader.optional_named<market::EndUse>("end_use");
    if (auto job = reader.optional_object("job")) {
        const JobSpec spec = read_job_spec(*job);
        order.requirements.gang_network = spec.network == JobNetwork::gang;
        if (order.requirements.gang_network && order.hosts == 1)
            reader.fail(ErrorCode::invalid_field, "job/network",
                        "A network among its containers is for an order over several hosts: give hosts, or "
                        "leave it out.");
        if (!reader.has_failed()) {
            decoded.inputs = artifacts_of(spec);
            decoded.secrets = spec.secrets;
            decoded.registry_secret = spec.registry_secret;
            order.job = job_request(spec);
        }
    }
    return decoded;
}

}  // namespace

market::Requirements read_requirements(FieldReader& order) {
    market::Requirements requirements;
    auto found = order.optional_object("requirements");
    if (!found) return requirements;
    FieldReader& reader = *found;
    requirements.products =
        reader.texts("products", limits::models_per_order_max, {.bytes_max = limits::name_bytes_max});
    requirements.device_class = reader.optional_named<market::DeviceClass>("device_class");
    requirements.vram_bytes_min = reader.optional_integer("vram_bytes_min", 0, INT64_MAX);
    requirements.countries = read_countries(reader, "countries");
    requirements.countries_excluded = read_countries(reader, "countries_excluded");
    requirements.listing = reader.optional_id<ListingId>("listing_id");
    requirements.host = reader.optional_id<HostId>("host_id");
    requirements.query = reader.optional_text("query", {.bytes_max = limits::query_bytes_max});
    if (requirements.query && !reader.has_failed())
        if (const Status fine = market::search::compile(requirements); !fine)
            reader.fail(fine.error().code, "query", fine.error().detail);
    static_cast<void>(reader.finish());
    return requirements;
}

ledger::Price read_price_max(FieldReader& reader) {
    return ledger::Price(reader.integer("price_max_micros_per_hour", 0, limits::price_micros_per_hour_max));
}

std::optional<ledger::QuoteFacts> read_quote(FieldReader& reader, const auth::SigningKey& key) {
    auto object = reader.optional_object("quote");
    if (!object) return std::nullopt;
    const std::string text =
        object->text("quote", {.bytes_max = limits::quote_bytes_max, .is_multiline = true});
    const std::string signature = object->base64("server_signature", auth::signature_bytes);
    static_cast<void>(object->finish());
    if (reader.has_failed()) return std::nullopt;
    const auto facts = open_quote(text, signature, key);
    if (facts && reader.has("price_max_micros_per_hour"))
        reader.fail(ErrorCode::invalid_field, "price_max_micros_per_hour",
                    "Leave it out: the quote is the limit.");
    if (facts) return *facts;
    reader.fail(facts.error().code, "quote", facts.error().detail);
    return std::nullopt;
}

Result<DecodedOrder> decode_order(std::string_view body, const auth::SigningKey& key) {
    return decode_body(body, [&](FieldReader& reader) { return read_order(reader, key); });
}

Result<market::MakeQuote> decode_quote_request(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        market::MakeQuote quote;
        quote.requirements = read_requirements(reader);
        read_shape(reader, quote);
        quote.storage_price_max = read_storage_price_max(reader);
        quote.egress_price_max = read_egress_price_max(reader);
        quote.price_max =
            ledger::Price(reader.integer_or("price_max_micros_per_hour", limits::price_micros_per_hour_max,
                                            0, limits::price_micros_per_hour_max));
        quote.term = Millis(reader.integer("term_ms", limits::term_ms_min, limits::term_ms_max));
        quote.stored_gib = reader.integer_or("stored_gib", 0, 0, limits::quoted_gib_max);
        quote.end_use = reader.optional_named<market::EndUse>("end_use");
        quote.starts_at = reader.optional_time("starts_at");
        quote.moved_gib = reader.integer_or("moved_gib", 0, 0, limits::quoted_gib_max);
        return quote;
    });
}

Result<market::ChangeBid> decode_bid(std::string_view body, OrderId order) {
    return decode_body(body, [&](FieldReader& reader) {
        const std::int64_t price =
            reader.integer("price_micros_per_hour", 0, limits::price_micros_per_hour_max);
        return market::ChangeBid{order, ledger::Price(price)};
    });
}

}  // namespace fallow::api
