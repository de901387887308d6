// What lies close together: cards that reach each other by NVLink, and hosts in one rack. It decides among
// offers with one ask and never against the price. It looks at what is free now and says nothing of how
// busy a link or a switch is.
#pragma once

#include <cstddef>
#include <vector>

#include "market/matching.hpp"

namespace fallow::market {

/// `count` of the cards, which are of one host: of the NVLink groups that have so many, the smallest, the
/// one with the first card among equals. Empty when none has.
[[nodiscard]] std::vector<CardId> of_one_group(const State& state, const std::vector<CardId>& cards,
                                               std::size_t count);

/// Whether it can matter to the order which of several listings with one ask it takes.
[[nodiscard]] bool has_preference(const State& state, const Order& order);

/// Moves of `found`, which have one ask and are in the order of service, to `taken` until these are
/// `wanted`, each on a host of its own. First those of the rack with enough hosts for all that are wanted
/// still: the one that has most of those taken before, then the one with fewest to spare; without such a
/// rack the one with most. Among these, those whose cards are of one NVLink group.
void take_preferred(const State& state, std::size_t wanted, std::vector<Member> found,
                    std::vector<Member>& taken);

}  // namespace fallow::market
