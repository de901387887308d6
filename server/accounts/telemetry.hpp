// Telemetry: how much of its cards a lease used, as its host measured it: one row for each card and minute,
// kept for 30 days. It is no money: nothing is billed by it, no decision of the market reads it, and it is
// in no journal. It is the host's word, as far as the host's operator can change the agent; a guest has no
// way to say anything here.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

inline constexpr Millis telemetry_step = minutes(1);
inline constexpr Millis telemetry_kept = days(30);
inline constexpr Millis telemetry_late_max = hours(24);  // what a host sends later is refused
inline constexpr Millis telemetry_clock_slack = minutes(1);
inline constexpr std::size_t telemetry_cards_max = limits::cards_per_order_max;
inline constexpr std::size_t telemetry_minutes_per_request_max = 512;  // of all cards together
inline constexpr std::int32_t telemetry_samples_max = 600;             // in a minute
inline constexpr std::int32_t utilization_thousandths_max = 1000;
inline constexpr std::int64_t memory_bytes_max = 1LL << 50;
inline constexpr std::int32_t power_milliwatts_max = 100'000'000;
inline constexpr std::int32_t temperature_celsius_max = 200;
inline constexpr std::int32_t cpu_millis_max = 10'000'000;
inline constexpr std::int64_t telemetry_points_max = 500;  // of a card in one reply
inline constexpr std::int64_t telemetry_points_default = 120;
inline constexpr std::int64_t telemetry_points_per_reply_max = 4096;  // of all cards together
/// That are summed up for one reply: all that is kept of nine cards, four days of 64.
inline constexpr std::int64_t telemetry_minutes_per_reply_max = 400'000;
static_assert(telemetry_points_max <= telemetry_points_per_reply_max);
static_assert(telemetry_late_max < telemetry_kept);

/// nvml: the driver's figures of the whole card. cgroup: the kernel's figures of the guest's processes and
/// memory, for a device that is the host's own processor.
FALLOW_ENUM(TelemetrySource, nvml, cgroup)

template <class T>
struct Level {
    std::optional<T> mean;
    std::optional<T> max;
    friend bool operator==(const Level&, const Level&) = default;
};

/// A minute of one card, or a longer step that was made of minutes.
struct MeasuredMinute {
    static constexpr std::string_view table = "telemetry_minutes";
    LeaseId lease;
    CardId card;
    Time at;  ///< its beginning
    OrganizationId renter;
    OrganizationId seller;
    std::int32_t samples = 0;
    Level<std::int32_t> utilization_thousandths;  ///< cgroup: of the processors that the guest may use
    Level<std::int64_t> memory_used_bytes;
    Level<std::int32_t> power_milliwatts;
    Level<std::int32_t> temperature_celsius;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("lease_id", row.lease);
        visit.key("card_id", row.card);
        visit.key("at", row.at);
        visit.field("organization_id", row.renter);
        visit.field("seller_id", row.seller);
        visit.field("samples", row.samples);
        visit.field("utilization_thousandths_mean", row.utilization_thousandths.mean);
        visit.field("utilization_thousandths_max", row.utilization_thousandths.max);
        visit.field("memory_used_bytes_mean", row.memory_used_bytes.mean);
        visit.field("memory_used_bytes_max", row.memory_used_bytes.max);
        visit.field("power_milliwatts_mean", row.power_milliwatts.mean);
        visit.field("power_milliwatts_max", row.power_milliwatts.max);
        visit.field("temperature_celsius_mean", row.temperature_celsius.mean);
        visit.field("temperature_celsius_max", row.temperature_celsius.max);
    }
    friend bool operator==(const MeasuredMinute&, const MeasuredMinute&) = default;
};

/// What holds for all minutes of a card.
struct MeasuredCard {
    static constexpr std::string_view table = "telemetry_cards";
    LeaseId lease;
    CardId card;
    OrganizationId renter;
    OrganizationId seller;
    std::optional<JobId> job;
    TelemetrySource source = TelemetrySource::nvml;
    /// Another lease had a part of the card at some minute: what was measured is not this one's alone.
    bool shared = false;
    std::optional<std::int64_t> memory_bytes;  ///< nvml: of the card; cgroup: the guest's limit
    std::optional<std::int32_t> cpu_millis;    ///< cgroup: the processors that the guest may use
    Time last_at;                              ///< its newest minute

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("lease_id", row.lease);
        visit.key("card_id", row.card);
        visit.field("organization_id", row.renter);
        visit.field("seller_id", row.seller);
        visit.field("job_id", row.job);
        visit.field("source", row.source);
        visit.field("shared", row.shared);
        visit.field("memory_bytes", row.memory_bytes);
        visit.field("cpu_millis", row.cpu_millis);
        visit.field("last_at", row.last_at);
    }
    friend bool operator==(const MeasuredCard&, const MeasuredCard&) = default;
};

/// What a host sends of one card.
struct CardTelemetry {
    MeasuredCard card;
    std::vector<MeasuredMinute> minutes;
};

/// Of the means of minutes; `max` is the highest sample.
struct Summary {
    std::int64_t mean = 0;
    std::int64_t p50 = 0;
    std::int64_t p95 = 0;
    std::int64_t max = 0;
    friend bool operator==(const Summary&, const Summary&) = default;
};

struct CardSummary {
    MeasuredCard card;
    std::int64_t minutes = 0;
    std::optional<Summary> utilization_thousandths;
    std::optional<Summary> memory_used_bytes;
    std::optional<Summary> power_milliwatts;
    std::optional<Summary> temperature_celsius;
};

/// The span of time in which a lease can have been measured.
struct MeasuredSpan {
    Time from;
    Time until;
};

[[nodiscard]] constexpr Time minute_of(Time time) {
    return time - Millis(time.ms % telemetry_step.count);
}

/// Minutes begin on whole ones, once each, within `span` and not too late; cards are those of the lease,
/// once each. invalid_field with a pointer "/cards/N/…".
[[nodiscard]] Status check_telemetry(const std::vector<CardTelemetry>& cards,
                                     const std::vector<CardId>& of_lease, const MeasuredSpan& span,
                                     Time now);

/// How much of the past is summed up for one reply about so many cards.
[[nodiscard]] Millis telemetry_history_max(std::int64_t cards);

/// How long a step is so that `span` has at most `points` of them for each of `cards` cards, and a reply
/// not more than it may: a whole number of minutes.
[[nodiscard]] Millis telemetry_step_for(const MeasuredSpan& span, std::int64_t points, std::int64_t cards);

/// The transaction is bound to an organization, to a host, or to nobody (the operator).
class TelemetryStore {
  public:
    virtual ~TelemetryStore() = default;

    /// A minute that is there already is replaced by one with more samples, so that a repetition changes
    /// nothing.
    virtual void put(const std::vector<CardTelemetry>& cards) = 0;
    /// In the order of cards, of the minutes from `from` on.
    [[nodiscard]] virtual std::vector<CardSummary> summaries(LeaseId lease, Time from) = 0;
    [[nodiscard]] virtual std::vector<CardSummary> summaries(JobId job, Time from) = 0;
    /// The most that one lease of the job has.
    [[nodiscard]] virtual std::int64_t cards_of(JobId job) = 0;
    /// In the order of cards, then time.
    [[nodiscard]] virtual std::vector<MeasuredMinute> steps(LeaseId lease, Time from, Millis step) = 0;
};

}  // namespace fallow::accounts
