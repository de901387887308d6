// What a lease, or a job over all of its leases, used of what it paid for, and whether less would have
// done. Pure.
//
// Used: the mean utilisation of its cards, each minute and card counting alike, against the thousandths
// that were paid of them. A card that other leases had a part of at the time says nothing of this one: then
// nothing is said.
//
// A hint is given only when all of this is so:
//   - at least `hint_minutes_min` minutes were measured of each card, and at least half of the running
//   time;
//   - utilisation and memory were measured of each card, and no other lease had a part of it;
//   - what was needed is at most half of what was paid. Needed is, with a quarter on top of each: of
//     processors the 95th percentile of the minutes' means (not the mean: a job that is busy for an hour
//     and waits for ten would not have done with an eleventh), of memory the highest sample. Of one card
//     the larger of both counts, in steps of 50 thousandths.
// It names what would have done: of one card a share, and a card with so much memory; of several cards how
// many, when the others did nothing (a 95th percentile below 1 % and less than 5 % of the memory), and with
// how much memory; of a processor (source cgroup) `cpu_millis` and `memory_bytes` of the job.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "accounts/telemetry.hpp"

namespace fallow::accounts {

inline constexpr std::int64_t hint_minutes_min = 10;

/// Why there is a hint (oversized), or none.
FALLOW_ENUM(UseVerdict, nothing_measured, shared_card, too_little_measured, not_all_measured, well_used,
            oversized)

struct Hint {
    std::optional<std::int64_t> thousandths;   ///< of one card
    std::optional<std::int64_t> vram_bytes;    ///< of each card
    std::optional<std::int64_t> cards;         ///< on each host
    std::optional<std::int64_t> cpu_millis;    ///< of the job
    std::optional<std::int64_t> memory_bytes;  ///< of the job
    std::string text;                          ///< a sentence with the figures it rests on
};

struct Efficiency {
    std::int64_t minutes = 0;                      ///< measured, of all cards together
    std::optional<std::int64_t> used_thousandths;  ///< of what was paid for
    UseVerdict verdict = UseVerdict::nothing_measured;
    std::optional<Hint> hint;
};

/// A card of one lease.
struct CardUse {
    CardSummary measured;
    std::int64_t paid_thousandths = 1000;  ///< of this card
    Millis running;                        ///< of its lease, as billed
};

[[nodiscard]] Efficiency efficiency_of(const std::vector<CardUse>& cards);

}  // namespace fallow::accounts
