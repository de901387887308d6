// Whether a listing, and each of its cards, may serve an order: named rules in a fixed order, each of which
// can be asked by itself. Which of several listings serves is matching.hpp.
#pragma once

#include <optional>
#include <span>

#include "base/enum.hpp"
#include "market/backfill.hpp"
#include "market/state.hpp"

namespace fallow::market {

/// What can keep a listing or a card from an order, in the order in which it is asked: first what the
/// listing says, then what each card is, last whether enough cards are left, and enough hosts with them.
FALLOW_ENUM(Constraint, listing, host, listing_state, host_state, frozen, price, storage_price,
            egress_price, term, window, maintenance, renter, image, country, bundle, share, gang_network,
            device_class, product, vram, query, missing, in_use, tenant, booked, claimed, policy, nvlink,
            cards, hosts)

/// One order beside one listing: what the rules look at.
struct Pairing {
    const State& state;
    const Order& order;
    const Listing& listing;
    const Host& host;
    const std::string* image;  ///< of the order's job; none for a rental, which brings its job later
    Time now;
    const Claims* claims = nullptr;  ///< of orders that are served before; none when nothing is claimed
};
/// `image` is that of a job which is not in the state yet.
[[nodiscard]] Pairing pair_up(const State& state, const Order& order, const Listing& listing, Time now,
                              const std::string* image = nullptr);

struct ListingRule {
    Constraint constraint;
    bool (*holds)(const Pairing& pairing);
};
struct CardRule {
    Constraint constraint;
    bool (*holds)(const Pairing& pairing, const Card& card);
};

/// All rules, in the order of Constraint. `cards` and `hosts` have none of their own: they count over
/// these.
[[nodiscard]] std::span<const ListingRule> listing_rules();
[[nodiscard]] std::span<const CardRule> card_rules();

/// The first rule that does not hold.
[[nodiscard]] std::optional<Constraint> refusal(const Pairing& pairing);
[[nodiscard]] std::optional<Constraint> refusal(const Pairing& pairing, const Card& card);

}  // namespace fallow::market
