// What a lease used of its cards, as data. A part of types.hpp, which says how to read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::sdk {

/// Which part of a lease's telemetry. Nothing: all that is kept, in the server's number of points.
struct TelemetryQuery {
    std::optional<std::int64_t> history_ms;
    std::optional<std::int64_t> points;
};

struct UseLevel {
    std::int64_t mean = 0;
    std::int64_t max = 0;
};

/// Of the means of minutes; `max` is the highest sample.
struct UseSummary {
    std::int64_t mean = 0;
    std::int64_t p50 = 0;
    std::int64_t p95 = 0;
    std::int64_t max = 0;
};

/// A step of time; nothing where it was not measured, or is not for the asker.
struct UsePoint {
    std::string at;
    std::int64_t samples = 0;
    std::optional<UseLevel> utilization_thousandths;
    std::optional<UseLevel> memory_used_bytes;
    std::optional<UseLevel> power_milliwatts;
    std::optional<UseLevel> temperature_celsius;
};

struct CardTelemetry {
    std::string card_id;
    std::string source;                        ///< nvml, cgroup
    bool shared = false;                       ///< other leases had a part of the card
    std::optional<std::int64_t> memory_bytes;  ///< that there are
    std::optional<std::int64_t> cpu_millis;    ///< of source cgroup
    std::int64_t minutes = 0;
    std::optional<UseSummary> utilization_thousandths;
    std::optional<UseSummary> memory_used_bytes;
    std::optional<UseSummary> power_milliwatts;
    std::optional<UseSummary> temperature_celsius;
    std::vector<UsePoint> points;
};

/// What would have done.
struct UseHint {
    std::optional<std::int64_t> thousandths;
    std::optional<std::int64_t> vram_bytes;
    std::optional<std::int64_t> cards;
    std::optional<std::int64_t> cpu_millis;
    std::optional<std::int64_t> memory_bytes;
    std::string text;
};

struct Efficiency {
    std::int64_t minutes = 0;
    std::optional<std::int64_t> used_thousandths;  ///< of what was paid for
    std::string verdict;
    std::optional<UseHint> hint;
};

struct LeaseTelemetry {
    std::string lease_id;
    std::optional<std::string> job_id;
    std::string role;  ///< renter, seller, admin
    std::int64_t thousandths = 0;
    std::int64_t running_ms = 0;
    std::string from;
    std::string until;
    std::int64_t step_ms = 0;
    std::vector<CardTelemetry> cards;
    std::optional<Efficiency> efficiency;  ///< nothing for a seller
};

struct JobEfficiency {
    std::string job_id;
    Efficiency efficiency;
};

}  // namespace fallow::sdk
