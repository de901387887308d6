// Metering: from proved running time to money, exactly. One numerator for a lease's whole life; a charge is
// the difference of two floors of it, so however often a lease is metered no micro is lost or made.
#pragma once

#include <cstdint>

#include "base/int128.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::ledger {

/// What a lease has cost so far.
struct Meter {
    Int128 numerator = 0;  ///< Σ price [micros/h] × time [ms] × thousandths of a card
    Millis running;        ///< Σ time
    Micros charged;        ///< floor(numerator / 3.6e9)
    Micros fee;            ///< the operator's part of `charged`

    friend bool operator==(const Meter&, const Meter&) = default;
};

/// The operator's part of a cumulative charge: floor(charged × ppm / 1e6).
[[nodiscard]] Micros fee_of(Micros charged, std::int32_t fee_ppm);

/// `meter` after `delta` more at `price`. delta ≥ 0 and within limits.
[[nodiscard]] Meter advance(const Meter& meter, Price price, std::int32_t thousandths, Millis delta,
                            std::int32_t fee_ppm);

/// What `span` costs, rounded up: enough to hold for it, whatever was charged before.
[[nodiscard]] Micros cost_ceiling(Price price, std::int32_t thousandths, Millis span);

/// The longest span, from `meter` on, whose charge `funds` cover; never more than limits::term_ms_max.
[[nodiscard]] Millis covered_by(const Meter& meter, Price price, std::int32_t thousandths, Micros funds);

}  // namespace fallow::ledger
