// Whether a listing, and each of its cards, may serve an order: named rules in a fixed order, each of which
// can be asked by itself. Which of several listings serves is matching.hpp.
#pragma once

#include <optional>
#include <span>

#include "base/enum.hpp"
#include "market/state.hpp"

namespace fallow::market {

/// What can keep a listing or a card from an order, in the order in which it is asked: first what the
/// listing says, then what each card is, last whether enough cards are left.
FALLOW_ENUM(Constraint, listing, host, listing_state, host_state, frozen, price, term, window, country,
            bundle, device_class, product, vram, query, missing, in_use, booked, policy, cards)

/// One order beside one listing: what the rules look at.
struct Pairing {
    const State& state;
    const Order& order;
    const Listing& listing;
    const Host& host;
    Time now;
};
[[nodiscard]] Pairing pair_up(const State& state, const Order& order, const Listing& listing, Time now);

struct ListingRule {
    Constraint constraint;
    bool (*holds)(const Pairing& pairing);
};
struct CardRule {
    Constraint constraint;
    bool (*holds)(const Pairing& pairing, const Card& card);
};

/// All rules, in the order of Constraint. `cards` has none of its own: it is a count over these.
[[nodiscard]] std::span<const ListingRule> listing_rules();
[[nodiscard]] std::span<const CardRule> card_rules();

/// The first rule that does not hold.
[[nodiscard]] std::optional<Constraint> refusal(const Pairing& pairing);
[[nodiscard]] std::optional<Constraint> refusal(const Pairing& pairing, const Card& card);

}  // namespace fallow::market
