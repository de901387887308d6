// ledger/: exact money. Pure: no clock, no I/O, no float, no thread.
// It is not a payment system: deposits and withdrawals are recorded, never executed, here.
#pragma once

#include <compare>
#include <cstdint>

#include "base/int128.hpp"
#include "base/limits.hpp"

namespace fallow::ledger {

/// An amount in millionths of the ledger's one currency.
struct Micros {
    std::int64_t count = 0;

    constexpr Micros() = default;
    constexpr explicit Micros(std::int64_t micros) : count(micros) {}
    friend constexpr auto operator<=>(const Micros&, const Micros&) = default;
    friend constexpr Micros operator+(Micros a, Micros b) { return Micros(a.count + b.count); }
    friend constexpr Micros operator-(Micros a, Micros b) { return Micros(a.count - b.count); }
};

/// A price in micros per whole card and hour.
struct Price {
    std::int64_t micros_per_hour = 0;

    constexpr Price() = default;
    constexpr explicit Price(std::int64_t micros) : micros_per_hour(micros) {}
    friend constexpr auto operator<=>(const Price&, const Price&) = default;
};

/// micros/h × ms × thousandths of a card, per micro: 3,600,000 ms × 1,000 thousandths.
inline constexpr std::int64_t numerator_per_micro = 3'600'000'000;

inline constexpr std::int64_t hours_per_month = 730;
inline constexpr std::int64_t bytes_per_gib = std::int64_t{1} << 30;
inline constexpr std::int64_t bytes_per_mib = std::int64_t{1} << 20;
inline constexpr std::int64_t mib_per_gib = 1024;

/// What a MiB sent adds to a numerator for each micro that a GiB costs: a whole number, so traffic is
/// exact.
inline constexpr std::int64_t numerator_per_mib = numerator_per_micro / mib_per_gib;
static_assert(numerator_per_mib * mib_per_gib == numerator_per_micro);

/// The dearest storage, in thousandths of a micro per hour.
inline constexpr Int128 storage_nanos_per_hour_max =
    static_cast<Int128>(limits::storage_micros_per_gib_month_max) * limits::quoted_gib_max * 1000 /
    hours_per_month;

// The largest lease's numerator stays far below 2^127, and its charge below 2^63.
inline constexpr Int128 numerator_max = (static_cast<Int128>(limits::price_micros_per_hour_max) *
                                             limits::thousandths_per_card * limits::cards_per_order_max +
                                         storage_nanos_per_hour_max) *
                                        limits::term_ms_max;
/// The dearest traffic: all that can be ordered at the highest price, and the highest overage.
inline constexpr Int128 traffic_micros_max =
    static_cast<Int128>(limits::egress_micros_per_gib_max) * limits::quoted_gib_max +
    limits::amount_micros_max;
static_assert(storage_nanos_per_hour_max < (static_cast<Int128>(1) << 63));
static_assert(limits::working_storage_bytes_max / bytes_per_gib <= limits::quoted_gib_max);
static_assert(numerator_max / numerator_per_micro + traffic_micros_max < (static_cast<Int128>(1) << 63));

}  // namespace fallow::ledger
