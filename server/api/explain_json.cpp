#include "api/explain_json.hpp"

#include "api/market_json.hpp"

namespace fallow::api {
namespace {

void write_or_null(JsonWriter& json, std::string_view name, const std::string& text) {
    json.key(name);
    if (text.empty())
        json.null();
    else
        json.value(text);
}

void write(JsonWriter& json, const market::ConstraintCount& count) {
    json.begin_object().field("constraint", count.constraint);
    write_or_null(json, "condition", count.condition);
    json.field("removed", count.removed).field("alone", count.alone).end_object();
}

void write(JsonWriter& json, const market::SingleChange& change) {
    json.begin_object().field("constraint", change.constraint);
    write_or_null(json, "was", change.was);
    write_or_null(json, "now", change.now);
    json.key("requirements");
    write(json, change.order.requirements);
    json.field("count", change.order.count)
        .field("thousandths", change.order.thousandths)
        .field("hosts", change.order.hosts)
        .field("nvlink", change.order.nvlink)
        .field("price_max_micros_per_hour", change.order.price_max)
        .field("storage_micros_per_gib_month_max", change.order.storage_price_max)
        .field("egress_micros_per_gib_max", change.order.egress_price_max)
        .field("term_ms", change.order.term)
        .field("listing_id", change.listing)
        .field("price_micros_per_hour", change.price)
        .field("cost_micros", change.cost)
        .end_object();
}

}  // namespace

void write(JsonWriter& json, const market::Explanation& explanation) {
    json.begin_object().field("cards", explanation.cards).field("left", explanation.left);
    json.key("constraints").begin_array();
    for (const market::ConstraintCount& count : explanation.constraints)
        write(json, count);
    json.end_array().key("changes").begin_array();
    for (const market::SingleChange& change : explanation.changes)
        write(json, change);
    json.end_array().key("chosen");
    if (explanation.chosen) {
        json.begin_object()
            .field("listing_id", explanation.chosen->listing)
            .field("price_micros_per_hour", explanation.chosen->price)
            .field("because", explanation.chosen->because)
            .field("others", explanation.chosen->others)
            .field("others_price_micros_per_hour", explanation.chosen->others_price)
            .end_object();
    } else {
        json.null();
    }
    json.end_object();
}

void write(JsonWriter& json, const market::search::Field& field, const market::search::Value& value) {
    using market::search::Kind;
    if (!value.is_known)
        json.null();
    else if (field.kind == Kind::text)
        json.value(value.text);
    else if (field.kind == Kind::boolean)
        json.value(value.number != 0);
    else if (field.kind == Kind::version || field.kind == Kind::time)
        json.value(market::search::write_value(field.kind, value.number));
    else
        json.value(value.number);
}

std::string problem_members(const Error& error) {
    const auto* facts = dynamic_cast<const market::NoMatch*>(error.facts.get());
    if (facts == nullptr) return {};
    JsonWriter json(2048);
    json.begin_object().key("explanation");
    write(json, facts->explanation);
    json.end_object();
    return json.take();
}

}  // namespace fallow::api
