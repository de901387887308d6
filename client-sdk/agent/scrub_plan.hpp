// When the memory of a card is overwritten between two guests, and who waits for it. Pure, and a part of
// the planner's decisions.
//
// A part of a card gives no memory of its own, and all parts of one belong to one renter: so a card is
// overwritten when the last of its leases has ended, and its neighbours are neither waited for nor starved.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/planner.hpp"

namespace fallow::agent {

inline constexpr std::int64_t scrub_tries_max = 3;
/// So many tries in a row have failed that it counts as one that cannot be overwritten, until one succeeds.
[[nodiscard]] inline bool is_unscrubbable(const UsedCard& card) {
    return card.failures >= scrub_tries_max;
}

/// From the end of the notice: then what is still overwritten for an owner is broken off,
inline constexpr std::int64_t owner_waits_ms = 3000;
/// and then the owner has the card, even if the driver does not let go of who did that.
inline constexpr std::int64_t owner_waits_ms_max = 4500;
static_assert(owner_waits_ms < owner_waits_ms_max && owner_waits_ms_max < 5000);

/// What other guests have left in the cards of a lease.
struct LeftInMemory {
    bool is_due = false;    ///< it is about to be overwritten: nothing starts, and the lease is not gone
    bool is_stuck = false;  ///< it could not be overwritten, and the market keeps the card from others
};
/// Of a lease none of whose own guests is there: not yet, or not any more.
[[nodiscard]] LeftInMemory left_in_memory(const LeaseRecord& lease, const Observed& observed,
                                          std::int64_t now_boot_ms);

void plan_scrubs(const Observed& observed, std::int64_t now_boot_ms, std::vector<Action>& actions);

/// Whether an owner who has taken the card need not wait for its memory any longer.
[[nodiscard]] bool may_have_it(const std::string& uuid, const Observed& observed, std::int64_t now_boot_ms);

}  // namespace fallow::agent
