#include "api/telemetry_decode.hpp"

#include <algorithm>

#include "api/field_decode.hpp"

namespace fallow::api {
namespace {

using accounts::CardTelemetry;
using accounts::Level;
using accounts::MeasuredMinute;

template <class T>
Level<T> read_level(FieldReader& minute, std::string_view name, T min, T max) {
    Level<T> level;
    auto object = minute.optional_object(name);
    if (!object) return level;
    level.mean = static_cast<T>(object->integer("mean", min, max));
    level.max = static_cast<T>(object->integer("max", min, max));
    if (*level.mean > *level.max)
        object->fail(ErrorCode::invalid_field, "mean", "A mean is not above the highest sample.");
    static_cast<void>(object->finish());
    return level;
}

MeasuredMinute read_minute(FieldReader& item) {
    MeasuredMinute minute;
    minute.at = item.time("at");
    minute.samples = item.integer32("samples", 1, accounts::telemetry_samples_max);
    minute.utilization_thousandths =
        read_level<std::int32_t>(item, "utilization_thousandths", 0, accounts::utilization_thousandths_max);
    minute.memory_used_bytes =
        read_level<std::int64_t>(item, "memory_used_bytes", 0, accounts::memory_bytes_max);
    minute.power_milliwatts =
        read_level<std::int32_t>(item, "power_milliwatts", 0, accounts::power_milliwatts_max);
    minute.temperature_celsius = read_level<std::int32_t>(
        item, "temperature_celsius", -accounts::temperature_celsius_max, accounts::temperature_celsius_max);
    return minute;
}

CardTelemetry read_card(FieldReader& item) {
    CardTelemetry given;
    given.card.card = item.id<CardId>("card_id");
    given.card.source = item.named<accounts::TelemetrySource>("source");
    given.card.shared = item.boolean_or("shared", false);
    given.card.memory_bytes = item.optional_integer("memory_bytes", 1, accounts::memory_bytes_max);
    if (const auto millis = item.optional_integer("cpu_millis", 1, accounts::cpu_millis_max))
        given.card.cpu_millis = static_cast<std::int32_t>(*millis);
    for (FieldReader& minute : item.objects("minutes", accounts::telemetry_minutes_per_request_max, true)) {
        given.minutes.push_back(read_minute(minute));
        given.card.last_at = std::max(given.card.last_at, given.minutes.back().at);
        if (!minute.finish()) break;
    }
    return given;
}

}  // namespace

Result<std::vector<CardTelemetry>> decode_telemetry(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        std::vector<CardTelemetry> cards;
        for (FieldReader& item : reader.objects("cards", accounts::telemetry_cards_max, true)) {
            cards.push_back(read_card(item));
            if (!item.finish()) break;
        }
        return cards;
    });
}

}  // namespace fallow::api
