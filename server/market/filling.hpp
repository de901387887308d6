// An order filled: a lease for each member of its match, the money held, the cards taken.
#pragma once

#include "market/matching.hpp"

namespace fallow::market {

/// What filling the order takes from its renter's available money at once, by this match.
[[nodiscard]] ledger::Micros first_hold(const State& state, const Order& order, const Match& match);
/// The same at the order's own price limit, for an order that nothing fits yet.
[[nodiscard]] ledger::Micros first_hold_at_limit(const State& state, const Order& order);

/// insufficient_funds unless the renter's available money covers `wanted`.
[[nodiscard]] Status check_funds(const State& state, OrganizationId renter, ledger::Micros wanted);

/// Fills a standing order whose renter can pay the first hold.
void fill(Transaction& tx, OrderId order, const Match& match);

}  // namespace fallow::market
