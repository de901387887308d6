// Which listing serves an order. Order of service, for fixed prices: a new order takes the cheapest open
// listing that fits; among equal asks the one that placement prefers (placing.hpp), the lowest listing id
// among equals in that; and of it the free cards with the lowest indexes. A share goes to the fullest card
// that it still fits on, and to a free card when there is none. When
// capacity becomes free, standing orders are served by price limit, highest first, then by age, then by id.
// Bids are served after these, by the rules of spot.hpp. What fits is eligibility.hpp; what earlier orders
// wait for is backfill.hpp; how an order is filled is filling.hpp.
#pragma once

#include <optional>
#include <vector>

#include "ledger/quote.hpp"
#include "market/eligibility.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// What one lease takes: the same part of each of some cards of one listing.
struct Member {
    ListingId listing;
    std::vector<CardId> cards;
    std::int32_t thousandths = limits::thousandths_per_card;  ///< of each card
    std::optional<ChosenBy> chosen_by = std::nullopt;
    std::optional<ledger::QuotedHost> quoted = std::nullopt;  ///< whose prices hold
};

/// What an order takes, all of it or nothing: a member for each host that it asks for.
struct Match {
    std::vector<Member> members;
};

/// What one listing has for an order, or the constraint that forbids it.
struct Fit {
    std::optional<Member> member;
    std::optional<Constraint> refused;
};

/// `image` is that of the order's job when that is not in the state yet.
[[nodiscard]] Fit fit(const State& state, const Listing& listing, const Order& order, Time now,
                      const std::string* image = nullptr, const Claims* claims = nullptr);

/// Calls `visit` with each listing that may serve the order, by price and then id, until it says false.
template <class Visit>
void each_candidate(const State& state, const Order& order, Visit&& visit) {
    if (order.requirements.listing) {
        if (const Listing* listing = state.find<Listing>(*order.requirements.listing)) visit(*listing);
        return;
    }
    const bool is_bid = order.pricing == OrderPricing::spot;
    const auto& offers = is_bid                 ? state.spot_offers()
                         : order.is_for_share() ? state.share_offers()
                                                : state.offers();
    for (const auto& [price, id] : offers)
        if (price > order.price_max || !visit(state.at<Listing>(id))) return;
}

/// The first match in the order of service. Of a gang's hosts each is another one.
[[nodiscard]] std::optional<Match> find_match(const State& state, const Order& order, Time now,
                                              const std::string* image = nullptr);

/// Whether the renter has enough for the first hold.
[[nodiscard]] bool is_payable(const State& state, const Order& order, const Match& match);

/// For a renter who cannot pay what find_match() finds: the first match without such listings. Storage and
/// notice are each listing's own, so that a dearer card may need a smaller hold. Each host of a gang has to
/// cost no more than its part of what the renter has.
[[nodiscard]] std::optional<Match> find_payable_match(const State& state, const Order& order, Time now,
                                                      const std::string* image = nullptr);

/// Whether renter and image may still have a standing order filled.
[[nodiscard]] bool may_be_filled(const State& state, const Order& order, Time now);

/// Whether orders stand opposite something free. Such a pair may come to fit by nothing but time (a
/// listing's window opens, a renter's hour of failed starts is over), for which there is no deadline:
/// whoever has the clock looks again every few seconds while there is one.
[[nodiscard]] bool has_pair(const State& state);

/// Called when capacity or money may have become free.
void match_standing_orders(Transaction& tx);

}  // namespace fallow::market
