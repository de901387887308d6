// Spot pools and what they do to leases. A pool is the cards of one model and memory size that are offered
// for spot. It has a price, that of its cheapest card, which changes once a minute at most: a change in
// the market marks the pool, and the clock prices it when its minute is over. A spot lease takes its own
// cards' price over with the next usage statement after that, for the time that follows. So no price is
// raised for time that has passed, and a lease's stretches at one price, its segments, add up to its
// charge.
#pragma once

#include <string>
#include <vector>

#include "ledger/receipt.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// "t4-16gib", "rtx-4090d-48gib": the catalog's model and memory class; of a card that the catalog does not
/// know, the product in lower case and the memory in whole GiB.
[[nodiscard]] std::string spot_pool_name(const Card& card);

/// Sets floor and first price of a lease that an order's bid takes.
void price_new_lease(const State& state, Lease& lease, const Order& order, const Listing& listing,
                     const std::vector<CardId>& cards, Time now);

/// Records that the lease costs `lease.price` from its present running time on.
void begin_segment(Transaction& tx, const Lease& lease);

/// Whether the lease can take one price more.
[[nodiscard]] bool may_begin_segment(const State& state, const Lease& lease);

/// Takes the cards' price over when their pool was priced since `since`; the caller writes the lease. One
/// that has been told to stop keeps its price.
void follow_pool(Transaction& tx, Lease& lease, Time since);

/// What the receipt of a spot lease lists: its segments with the time run in each.
[[nodiscard]] std::vector<ledger::Segment> bill_of(const State& state, const Lease& lease);

/// Opens the pools of what a command listed, and marks those whose prices it may have moved.
void note_spot_changes(Transaction& tx);

/// Prices a pool that is marked and whose minute is over, and lets orders displace that could not before.
void reprice_if_due(Transaction& tx, SpotPoolId id);

}  // namespace fallow::market
