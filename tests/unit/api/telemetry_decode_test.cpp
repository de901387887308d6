// What a host tells of its leases: one row, one body, one code and pointer.
#include "api/telemetry_decode.hpp"

#include <catch2/catch.hpp>

using namespace fallow;
using namespace fallow::api;

namespace {

const std::string card = R"("card_id":"card_00000000000000000000000001","source":"nvml")";
const std::string at = R"("at":"2026-01-02T03:04:00.000Z","samples":60)";

std::string of_minute(const std::string& minute) {
    return "{\"cards\":[{" + card + ",\"minutes\":[{" + minute + "}]}]}";
}

}  // namespace

TEST_CASE("a minute has what was measured, and nothing for what was not") {
    const auto cards = decode_telemetry(
        "{\"cards\":[{" + card + R"(,"shared":true,"memory_bytes":85899345920,"minutes":[{)" + at +
        R"(,"utilization_thousandths":{"mean":120,"max":310},"power_milliwatts":null}]}]})");
    REQUIRE(cards.ok());
    REQUIRE(cards->size() == 1);
    const accounts::CardTelemetry& given = cards->at(0);
    CHECK(given.card.shared);
    CHECK(given.card.memory_bytes == 85'899'345'920);
    CHECK_FALSE(given.card.cpu_millis);
    REQUIRE(given.minutes.size() == 1);
    CHECK(given.minutes[0].at == given.card.last_at);
    CHECK(given.minutes[0].samples == 60);
    CHECK(given.minutes[0].utilization_thousandths == accounts::Level<std::int32_t>{120, 310});
    CHECK(given.minutes[0].memory_used_bytes == accounts::Level<std::int64_t>{});
    CHECK(given.minutes[0].power_milliwatts == accounts::Level<std::int32_t>{});
}

TEST_CASE("telemetry that is refused") {
    struct Row {
        std::string body;
        ErrorCode code;
        std::string pointer;
    };
    const std::vector<Row> rows = {
        {"{}", ErrorCode::missing_field, "/cards"},
        {R"({"cards":[{"source":"nvml","minutes":[]}]})", ErrorCode::missing_field, "/cards/0/card_id"},
        {R"({"cards":[{"card_id":"card_00000000000000000000000001","source":"guess","minutes":[]}]})",
         ErrorCode::invalid_field, "/cards/0/source"},
        {"{\"cards\":[{" + card + "}]}", ErrorCode::missing_field, "/cards/0/minutes"},
        {of_minute(R"("samples":1)"), ErrorCode::missing_field, "/cards/0/minutes/0/at"},
        {of_minute(R"("at":"2026-01-02T03:04:00.000Z","samples":0)"), ErrorCode::invalid_field,
         "/cards/0/minutes/0/samples"},
        {of_minute(at + R"(,"utilization_thousandths":{"mean":1,"max":1001})"), ErrorCode::invalid_field,
         "/cards/0/minutes/0/utilization_thousandths/max"},
        {of_minute(at + R"(,"utilization_thousandths":{"mean":9,"max":8})"), ErrorCode::invalid_field,
         "/cards/0/minutes/0/utilization_thousandths/mean"},
        {of_minute(at + R"(,"utilization_thousandths":{"mean":9})"), ErrorCode::missing_field,
         "/cards/0/minutes/0/utilization_thousandths/max"},
        {of_minute(at + R"(,"memory_used_bytes":{"mean":-1,"max":8})"), ErrorCode::invalid_field,
         "/cards/0/minutes/0/memory_used_bytes/mean"},
        {of_minute(at + R"(,"temperature_celsius":{"mean":1,"max":201})"), ErrorCode::invalid_field,
         "/cards/0/minutes/0/temperature_celsius/max"},
        {of_minute(at + R"(,"humidity":{"mean":1,"max":2})"), ErrorCode::unknown_field,
         "/cards/0/minutes/0/humidity"},
    };
    for (const Row& row : rows) {
        INFO(row.body);
        const auto refused = decode_telemetry(row.body);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == row.code);
        CHECK(refused.error().pointer == row.pointer);
    }
}
