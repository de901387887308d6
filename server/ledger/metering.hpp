// Metering: from proved running time and stated traffic to money, exactly. One numerator for a lease's
// whole life; a charge is the difference of two floors of it, so however often a lease is metered no micro
// is lost or made.
#pragma once

#include <cstdint>

#include "base/int128.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::ledger {

/// What a lease costs while it runs: its cards, and the working storage that is reserved for it. Both are
/// whole numbers of one unit, a thousandth of a micro per hour, so one numerator sums both exactly.
struct Rate {
    Price price;                              ///< of a whole card
    std::int32_t thousandths = 0;             ///< of a card, summed over the lease's cards
    std::int64_t storage_nanos_per_hour = 0;  ///< see storage_nanos_per_hour()

    /// What a millisecond adds to the numerator.
    [[nodiscard]] constexpr Int128 per_ms() const {
        return static_cast<Int128>(price.micros_per_hour) * thousandths + storage_nanos_per_hour;
    }
    friend bool operator==(const Rate&, const Rate&) = default;
};

/// Whole MiB that were sent, or may still be, at a price for a GiB.
struct Traffic {
    Micros per_gib;
    std::int64_t mib = 0;

    /// What it adds to the numerator, exactly.
    [[nodiscard]] constexpr Int128 numerator() const {
        return static_cast<Int128>(per_gib.count) * mib * numerator_per_mib;
    }
};

/// What `bytes` cost for an hour, in thousandths of a micro, rounded down. A month has 730 hours.
[[nodiscard]] std::int64_t storage_nanos_per_hour(Micros per_gib_month, std::int64_t bytes);

/// What an hour costs all in, rounded up to the micro.
[[nodiscard]] Micros hourly(const Rate& rate);

/// What a lease has cost so far.
struct Meter {
    Int128 numerator = 0;  ///< Σ time [ms] × (price [micros/h] × thousandths of a card + storage), traffic
    Millis running;        ///< Σ time
    Micros charged;        ///< floor(numerator / 3.6e9)
    Micros fee;            ///< the operator's part of `charged`
    std::int64_t egress_mib = 0;  ///< Σ traffic

    friend bool operator==(const Meter&, const Meter&) = default;
};

/// The operator's part of a cumulative charge: floor(charged × ppm / 1e6).
[[nodiscard]] Micros fee_of(Micros charged, std::int32_t fee_ppm);

/// `meter` after `delta` more at `rate`, and so much more traffic. All ≥ 0 and within limits.
[[nodiscard]] Meter advance(const Meter& meter, const Rate& rate, Millis delta, std::int32_t fee_ppm,
                            const Traffic& more = {});

/// What `span` costs, rounded up: enough to hold for it, whatever was charged before.
[[nodiscard]] Micros cost_ceiling(const Rate& rate, Millis span);
/// The same of traffic.
[[nodiscard]] Micros cost_ceiling(const Traffic& traffic);

/// The longest span, from `meter` on, whose charge `funds` cover beside that of the traffic that is still
/// to come; from 0 to limits::term_ms_max.
[[nodiscard]] Millis covered_by(const Meter& meter, const Rate& rate, Micros funds,
                                const Traffic& to_come = {});

/// What of the charge is traffic at this price: what time alone would not have cost.
[[nodiscard]] Micros traffic_part(const Meter& meter, Micros per_gib);

}  // namespace fallow::ledger
