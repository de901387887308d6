// Which listing serves an order. Order of service, for fixed prices: a new order takes the cheapest open
// listing that fits, the lowest listing id among equals, and of it the free cards with the lowest indexes;
// when capacity becomes free, standing orders are served by price limit, highest first, then by age, then
// by id.
#pragma once

#include <optional>
#include <vector>

#include "base/enum.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// Why a listing does not serve an order, the first that applies.
FALLOW_ENUM(Constraint, listing, host, listing_state, host_state, frozen, price, term, window, country,
            bundle, cards)

struct Match {
    ListingId listing;
    std::vector<CardId> cards;
};

/// The match of one listing with an order, or the constraint that forbids it.
struct Fit {
    std::optional<Match> match;
    std::optional<Constraint> refused;
};

[[nodiscard]] Fit fit(const State& state, const Listing& listing, const Order& order, Time now);

/// The first fit in the order of service.
[[nodiscard]] std::optional<Match> find_match(const State& state, const Order& order, Time now);

/// Fills a standing order whose renter can pay the hold: the lease, the hold, the cards.
void fill(Transaction& tx, OrderId order, const Match& match);

/// insufficient_funds unless the renter can cover the hold of `order` on `listing`.
[[nodiscard]] Status check_funds(const State& state, const Order& order, const Listing& listing);

/// Called when capacity or money may have become free.
void match_standing_orders(Transaction& tx);

/// A listing with what search shows of its cards.
[[nodiscard]] ListingView view_of(const State& state, const Listing& listing);

}  // namespace fallow::market
