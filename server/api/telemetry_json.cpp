#include "api/telemetry_json.hpp"

#include "api/json_writer.hpp"

namespace fallow::api {
namespace {

using accounts::CardSummary;
using accounts::Efficiency;
using accounts::MeasuredMinute;

void write(JsonWriter& json, std::string_view name, const std::optional<accounts::Summary>& summary) {
    json.key(name);
    if (!summary) {
        json.null();
        return;
    }
    json.begin_object()
        .field("mean", summary->mean)
        .field("p50", summary->p50)
        .field("p95", summary->p95)
        .field("max", summary->max)
        .end_object();
}

template <class T>
void write(JsonWriter& json, std::string_view name, const accounts::Level<T>& level) {
    json.key(name);
    if (!level.mean) {
        json.null();
        return;
    }
    json.begin_object().field("mean", level.mean).field("max", level.max).end_object();
}

void write(JsonWriter& json, const MeasuredMinute& step, bool is_whole) {
    json.begin_object().field("at", step.at).field("samples", step.samples);
    write(json, "utilization_thousandths", step.utilization_thousandths);
    write(json, "memory_used_bytes", is_whole ? step.memory_used_bytes : accounts::Level<std::int64_t>());
    write(json, "power_milliwatts", step.power_milliwatts);
    write(json, "temperature_celsius", step.temperature_celsius);
    json.end_object();
}

void write(JsonWriter& json, const CardSummary& card, const LeaseTelemetry& of) {
    json.begin_object()
        .field("card_id", card.card.card)
        .field("source", card.card.source)
        .field("shared", card.card.shared)
        .field("memory_bytes", card.card.memory_bytes)
        .field("cpu_millis", card.card.cpu_millis)
        .field("minutes", card.minutes);
    write(json, "utilization_thousandths", card.utilization_thousandths);
    write(json, "memory_used_bytes", of.is_whole() ? card.memory_used_bytes : std::nullopt);
    write(json, "power_milliwatts", card.power_milliwatts);
    write(json, "temperature_celsius", card.temperature_celsius);
    json.key("points").begin_array();
    for (const MeasuredMinute& step : of.steps)
        if (step.card == card.card.card) write(json, step, of.is_whole());
    json.end_array().end_object();
}

void write(JsonWriter& json, const Efficiency& efficiency) {
    json.begin_object()
        .field("minutes", efficiency.minutes)
        .field("used_thousandths", efficiency.used_thousandths)
        .field("verdict", efficiency.verdict)
        .key("hint");
    if (!efficiency.hint) {
        json.null().end_object();
        return;
    }
    const accounts::Hint& hint = *efficiency.hint;
    json.begin_object()
        .field("thousandths", hint.thousandths)
        .field("vram_bytes", hint.vram_bytes)
        .field("cards", hint.cards)
        .field("cpu_millis", hint.cpu_millis)
        .field("memory_bytes", hint.memory_bytes)
        .field("text", hint.text)
        .end_object()
        .end_object();
}

}  // namespace

std::string to_json(const LeaseTelemetry& telemetry) {
    JsonWriter json(512 + 256 * telemetry.steps.size());
    json.begin_object()
        .field("lease_id", telemetry.lease.id)
        .field("job_id", telemetry.lease.job)
        .field("role", telemetry.role)
        .field("thousandths", telemetry.lease.thousandths)
        .field("running_ms", telemetry.lease.meter.running)
        .field("from", telemetry.span.from)
        .field("until", telemetry.span.until)
        .field("step_ms", telemetry.step)
        .key("cards")
        .begin_array();
    for (const CardSummary& card : telemetry.cards)
        write(json, card, telemetry);
    json.end_array().key("efficiency");
    if (telemetry.is_whole())
        write(json, telemetry.efficiency);
    else
        json.null();
    json.end_object();
    return json.take();
}

std::string to_json(JobId job, const Efficiency& efficiency) {
    JsonWriter json;
    json.begin_object().field("job_id", job).key("efficiency");
    write(json, efficiency);
    json.end_object();
    return json.take();
}

}  // namespace fallow::api
