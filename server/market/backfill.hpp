// Backfill: an order for several cards that cannot be filled yet claims those that it will have first, by
// the terms of the leases on them. Until then they serve later orders whose leases end in time, and no
// others, so that it is delayed by none of them. Which orders are later is the order of service.
#pragma once

#include <unordered_map>

#include "market/state.hpp"

namespace fallow::market {

/// From when on a card is waited for.
using Claims = std::unordered_map<CardId, Time>;

/// Adds the claims of a standing order: the cards of the listings that it allows, in the order of service
/// and a bounded number of them, that are free earliest. An order that could never be filled by what is
/// offered now, or that its renter cannot pay, claims nothing.
void add_claims(Claims& claims, const State& state, const Order& order, Time now);

/// What the orders wait for that are served before this one, a bounded number of them.
[[nodiscard]] Claims claims_before(const State& state, const Order& order, Time now);

/// When a lease of the order that is made now will have given its cards back.
[[nodiscard]] Time gives_back_by(const State& state, const Order& order, Time now);

}  // namespace fallow::market
