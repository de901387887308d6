// Spot: who gets a card, what it costs, and who has to go.
//
// - A listing with a floor takes bids. A bid is a proxy: the most its renter would pay. Bids are served by
//   price, then by age (a changed bid is as old as its change), then by id; each takes the free card with
//   the lowest floor that fits.
// - A card costs the higher of its floor and the highest losing bid that would accept this very card, from
//   neither the holder's nor the seller's organization, and never more than the holder's own bid. A lease
//   of several cards pays for each what the dearest of them costs. A bid loses while it stands, can be paid
//   for and has no promise.
// - An order that finds no free card displaces a spot lease of another organization: a fixed-price order
//   always, a bid when it is higher by the market's step. The one with the lowest bid goes, the newest of
//   equals; nobody goes where a spot lease that fits is ending already.
// - What the order displaced is promised to it: as soon as the cards are free they are its own, in the same
//   decision, and until then they count as held by its bid. So nobody is displaced twice for one card, and
//   a promise can be overtaken only as a lease can: by a fixed-price order or a bid a step higher. A
//   promise ends with its order, and when listing or host can no longer serve it.
#pragma once

#include <optional>
#include <vector>

#include "market/transaction.hpp"

namespace fallow::market {

[[nodiscard]] inline bool is_spot(const Order& order) {
    return order.pricing == OrderPricing::spot;
}

/// What the order has to offer at least for a card of the listing: the ask, or the floor. Nothing where the
/// listing takes no bids.
[[nodiscard]] std::optional<ledger::Price> entry_price(const Listing& listing, const Order& order);

/// The most that a lease can come to cost: its price, or its order's bid.
[[nodiscard]] ledger::Price highest_price(const State& state, const Lease& lease);

/// What a bid on `cards` of the listing costs by the rule above. `holder` is whose own bids do not count.
[[nodiscard]] ledger::Price spot_price(const State& state, const Listing& listing,
                                       const std::vector<CardId>& cards, ledger::Price floor,
                                       std::optional<OrganizationId> holder, Time now);

/// Whether a standing bid loses: it could be filled and paid for, and no card is promised to it.
[[nodiscard]] bool is_losing(const State& state, const Order& order, Time now);

/// Whether a free card of the listing could serve the order, its count and terms included.
[[nodiscard]] bool accepts(const State& state, const Order& order, const Listing& listing, CardId card,
                           Time now);

/// Fills bids that stand from free cards.
void match_standing_bids(Transaction& tx);

/// Displaces for one standing order that nothing free fits; what it overtakes looks for a place in turn.
/// Whether anything came to be promised.
bool displace_for(Transaction& tx, OrderId order);

/// The same for every order that stands, the better one first; promises that nothing can come of end.
void displace_again(Transaction& tx);

/// Cards have become free: those that are promised go to whom they are promised.
void serve_promises(Transaction& tx, const std::vector<CardId>& freed);

/// The cards promised to the order are anybody's again.
void withdraw_promise(Transaction& tx, OrderId order);

}  // namespace fallow::market
