#include "codec.hpp"
#include "fallow/telemetry_types.hpp"

namespace fallow::sdk {

template <>
struct Fields<UseLevel> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("mean", value.mean);
        visit("max", value.max);
    }
};

template <>
struct Fields<UseSummary> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("mean", value.mean);
        visit("p50", value.p50);
        visit("p95", value.p95);
        visit("max", value.max);
    }
};

template <>
struct Fields<UsePoint> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("at", value.at);
        visit("samples", value.samples);
        visit("utilization_thousandths", value.utilization_thousandths);
        visit("memory_used_bytes", value.memory_used_bytes);
        visit("power_milliwatts", value.power_milliwatts);
        visit("temperature_celsius", value.temperature_celsius);
    }
};

template <>
struct Fields<CardTelemetry> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("card_id", value.card_id);
        visit("source", value.source);
        visit("shared", value.shared);
        visit("memory_bytes", value.memory_bytes);
        visit("cpu_millis", value.cpu_millis);
        visit("minutes", value.minutes);
        visit("utilization_thousandths", value.utilization_thousandths);
        visit("memory_used_bytes", value.memory_used_bytes);
        visit("power_milliwatts", value.power_milliwatts);
        visit("temperature_celsius", value.temperature_celsius);
        visit("points", value.points);
    }
};

template <>
struct Fields<UseHint> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("thousandths", value.thousandths);
        visit("vram_bytes", value.vram_bytes);
        visit("cards", value.cards);
        visit("cpu_millis", value.cpu_millis);
        visit("memory_bytes", value.memory_bytes);
        visit("text", value.text);
    }
};

template <>
struct Fields<Efficiency> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("minutes", value.minutes);
        visit("used_thousandths", value.used_thousandths);
        visit("verdict", value.verdict);
        visit("hint", value.hint);
    }
};

template <>
struct Fields<LeaseTelemetry> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("lease_id", value.lease_id);
        visit("job_id", value.job_id);
        visit("role", value.role);
        visit("thousandths", value.thousandths);
        visit("running_ms", value.running_ms);
        visit("from", value.from);
        visit("until", value.until);
        visit("step_ms", value.step_ms);
        visit("cards", value.cards);
        visit("efficiency", value.efficiency);
    }
};

template <>
struct Fields<JobEfficiency> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("job_id", value.job_id);
        visit("efficiency", value.efficiency);
    }
};

FALLOW_SDK_REPLY(Efficiency);
FALLOW_SDK_REPLY(LeaseTelemetry);
FALLOW_SDK_REPLY(JobEfficiency);

}  // namespace fallow::sdk
