// Listings: what search shows of them.
#pragma once

#include "market/commands.hpp"
#include "market/state.hpp"

namespace fallow::market {

/// A listing with what search shows of its cards.
[[nodiscard]] ListingView view_of(const State& state, const Listing& listing);

}  // namespace fallow::market
