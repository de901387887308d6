// How far a host can be relied on: the part of the lease time it was given that it delivered, with what is
// assumed of a host that nobody knows. In integers, so that every reader gets the same number.
//
//   good = delivered + 95 h
//   bad  = lost + clipped + start_failed + reclaimed / 4 + 5 h
//   reliability = good / (good + bad), in millionths, rounded down
//
// A new host has 950,000. Every lease that ends adds to its host's counts, once:
//   delivered     what it ran and was paid for
//   lost          the host fell silent: what was left of the term, at most 24 h
//   reclaimed     its owner took it back, or took it out for maintenance: the same; a quarter counts,
//                 because the renter had the notice that the listing promised
//   start_failed  the host did not take it, or could not start it: what was left of the term, at most 10
//                 minutes, because the renter's image may be as much to blame
//   clipped       what the host claimed above what the server's clock allowed
// What a renter, a renter's money or the operator ends adds nothing but what was delivered. When all counts
// together exceed 2,000 h they are halved, so that a host's last months weigh more than its first.
#pragma once

#include "base/time.hpp"

namespace fallow::market {

struct Lease;

struct HostRecord {
    Millis delivered;
    Millis lost;
    Millis reclaimed;
    Millis start_failed;
    Millis clipped;
    friend bool operator==(const HostRecord&, const HostRecord&) = default;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.field("delivered_ms", row.delivered);
        visit.field("lost_ms", row.lost);
        visit.field("reclaimed_ms", row.reclaimed);
        visit.field("start_failed_ms", row.start_failed);
        visit.field("clipped_ms", row.clipped);
    }
};

inline constexpr Millis prior_delivered = hours(95);
inline constexpr Millis prior_failed = hours(5);
inline constexpr Millis failed_per_lease_max = hours(24);
inline constexpr Millis start_failed_per_lease_max = minutes(10);
inline constexpr Millis record_window = hours(2000);
inline constexpr std::int64_t reclaimed_share = 4;  ///< a fourth of it counts

/// With what a lease that has ended adds.
[[nodiscard]] HostRecord with(HostRecord record, const Lease& ended);

/// What counts as not delivered, the prior left out.
[[nodiscard]] Millis failed(const HostRecord& record);

[[nodiscard]] std::int64_t reliability_ppm(const HostRecord& record);

}  // namespace fallow::market
