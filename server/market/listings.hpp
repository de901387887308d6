// Listings: what search shows of them, and what their terms mean.
#pragma once

#include "market/commands.hpp"
#include "market/state.hpp"

namespace fallow::market {

/// A listing with what search shows of its cards.
[[nodiscard]] ListingView view_of(const State& state, const Listing& listing);

/// Follows from the listing and its cards, so that it ends by itself. The seller's word comes first.
[[nodiscard]] std::optional<ListingPause> pause_of(const Listing& listing, bool has_offered_card);
[[nodiscard]] std::optional<ListingPause> pause_of(const State& state, const Listing& listing);

/// When the listing's cards are taken out of its window next: never, at once when none is open, or then.
[[nodiscard]] std::optional<Time> closes_at(const Listing& listing, Time now);

/// Whether the seller lets this organization rent.
[[nodiscard]] bool admits(const Listing& listing, OrganizationId renter);

/// Whether the seller lets this image run: an empty list allows all. An entry is a whole reference, the
/// beginning of references with a * behind it, or a digest ("sha256:…").
[[nodiscard]] bool admits(const Listing& listing, const std::string& image);

}  // namespace fallow::market
