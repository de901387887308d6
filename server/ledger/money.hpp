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

// The largest lease's numerator stays far below 2^127, and its charge below 2^63.
inline constexpr Int128 numerator_max = static_cast<Int128>(limits::price_micros_per_hour_max) *
                                        limits::term_ms_max * limits::thousandths_per_card *
                                        limits::cards_per_order_max;
static_assert(numerator_max / numerator_per_micro < (static_cast<Int128>(1) << 63));

}  // namespace fallow::ledger
