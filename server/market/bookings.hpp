// Future time of cards: which of it is free, and what keeps a lease that is made now out of the way of what
// is booked. What was agreed about a block is reservations.hpp.
#pragma once

#include <optional>
#include <vector>

#include "market/state.hpp"

namespace fallow::market {

/// The longest that a lease takes from its match to its start.
[[nodiscard]] Millis preparation(const Rules& rules);
/// The longest that a card is not clean yet after its lease's term: grace, outputs, scrub, and a heartbeat.
/// So much lies between two bookings of a card, and between a lease and a booking.
[[nodiscard]] Millis turnaround(const Rules& rules);

/// Whether a lease of this term, matched now, is out of the way in time.
[[nodiscard]] bool ends_before_bookings(const State& state, CardId card, Millis term, Time now);

/// The longest term of a lease that, matched now, is out of the way in time; nothing when a block has begun
/// or is too near for any.
[[nodiscard]] std::optional<Millis> longest_before_bookings(const State& state, CardId card, Time now);

/// Whether nothing is booked on the card from `from` to `until`, nor leased until then.
[[nodiscard]] bool is_bookable(const State& state, const Card& card, Time from, Time until, Time now);

/// Cards of a committed listing that are free for a block.
struct Block {
    ListingId listing;
    std::vector<CardId> cards;
};

/// The cheapest block for `order` from `starts_at` on, the lowest listing id among equals, and the cards
/// with the lowest indexes; of `only`, when that is given. A listing whose seller cannot cover the bond is
/// passed over.
[[nodiscard]] std::optional<Block> find_block(const State& state, const Order& order, Time starts_at,
                                              Time now, std::optional<ListingId> only);

/// The account that a seller's bond would come from: the available one, or else what was earned.
[[nodiscard]] std::optional<ledger::AccountKind> bond_source(const State& state, OrganizationId seller,
                                                             ledger::Micros bond);

/// floor(amount × ppm / 1e6)
[[nodiscard]] ledger::Micros part_of(ledger::Micros amount, std::int32_t ppm);

}  // namespace fallow::market
