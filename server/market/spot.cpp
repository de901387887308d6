#include "market/spot.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "market/filling.hpp"
#include "market/leases.hpp"
#include "market/matching.hpp"

namespace fallow::market {
namespace {

bool can_pay(const State& state, const Order& order) {
    return check_funds(state, order.organization, first_hold_at_limit(state, order)).ok();
}

/// Whether a card, were it free, would serve.
bool suits(const Pairing& pairing, CardId id) {
    const Card& card = pairing.state.at<Card>(id);
    return std::all_of(card_rules().begin(), card_rules().end(), [&](const CardRule& rule) {
        return rule.constraint == Constraint::in_use || rule.holds(pairing, card);
    });
}

std::int32_t suitable_cards(const Pairing& pairing) {
    const auto& cards = pairing.listing.cards;
    return static_cast<std::int32_t>(
        std::count_if(cards.begin(), cards.end(), [&](CardId card) { return suits(pairing, card); }));
}

bool is_standing(const State& state, OrderId id) {
    const Order* order = state.find<Order>(id);
    return order != nullptr && order->state == OrderState::standing;
}

bool is_ending(const Lease& lease) {
    return lease.stop_reason || lease.state == LeaseState::reclaiming || lease.state == LeaseState::ended;
}

/// Whether the order takes what is held at `bid`.
bool beats(const State& state, const Order& order, ledger::Price bid) {
    return !is_spot(order) || order.price_max.micros_per_hour >=
                                  bid.micros_per_hour + state.settings().spot_step.micros_per_hour;
}

bool overtakes(const State& state, const Order& order, const Order& promised) {
    return is_spot(promised) && promised.organization != order.organization &&
           beats(state, order, promised.price_max);
}

/// What of one listing could come to an order, the gentlest way first.
class Plan {
  public:
    explicit Plan(const Pairing& pairing) : state_(pairing.state), order_(pairing.order) {
        for (const LeaseId id : state_.live_leases_of(pairing.host.id)) {
            const Lease& lease = state_.at<Lease>(id);
            if (!lease.spot_floor || lease.thousandths != whole(lease)) continue;
            for (const CardId card : lease.cards)
                holders_.emplace(card, &lease);
        }
        for (const CardId card : pairing.listing.cards)
            if (suits(pairing, card)) consider(card);
    }

    /// The cards that the order would take; fewer than it asks for when there are not enough.
    [[nodiscard]] std::vector<CardId> choose() {
        std::vector<CardId> chosen;
        const auto take = [&](const std::vector<CardId>& cards) {
            for (const CardId card : cards)
                if (std::ssize(chosen) < order_.count) chosen.push_back(card);
        };
        take(coming_);
        for (const CardId card : promised_) {
            if (std::ssize(chosen) == order_.count) break;
            chosen.push_back(card);
            overtaken.insert(*state_.promised_to(card));
        }
        for (const auto& [holding, cards] : leased_) {
            if (std::ssize(chosen) == order_.count) break;
            take(cards);
            stopped.push_back(std::get<LeaseId>(holding));
        }
        return chosen;
    }

    std::set<OrderId> overtaken;
    std::vector<LeaseId> stopped;

  private:
    static std::int32_t whole(const Lease& lease) {
        return static_cast<std::int32_t>(lease.cards.size()) * limits::thousandths_per_card;
    }

    void consider(CardId card) {
        const auto promised = state_.promised_to(card);
        if (promised && *promised != order_.id) {
            if (overtakes(state_, order_, state_.at<Order>(*promised))) promised_.push_back(card);
            return;
        }
        const auto holder = holders_.find(card);
        if (promised || state_.at<Card>(card).is_free()) return coming_.push_back(card);
        if (holder == holders_.end()) return;
        const Lease& lease = *holder->second;
        if (is_ending(lease)) return coming_.push_back(card);
        const ledger::Price bid = highest_price(state_, lease);
        if (lease.renter == order_.organization || !beats(state_, order_, bid)) return;
        leased_[{bid.micros_per_hour, -lease.allocated_at.ms, lease.id}].push_back(card);
    }

    const State& state_;
    const Order& order_;
    std::map<CardId, const Lease*> holders_;
    std::vector<CardId> coming_;    ///< free, or of a lease that is ending
    std::vector<CardId> promised_;  ///< to an order that is overtaken
    std::map<State::Holding, std::vector<CardId>> leased_;
};

struct Displacement {
    std::vector<CardId> cards;
    std::set<OrderId> overtaken;
    std::vector<LeaseId> stopped;
};

std::optional<Displacement> find_displacement(const State& state, const Order& order, Time now) {
    std::set<ListingId> seen;
    std::size_t looked_at = 0;
    for (const auto& [bid, newest, id] : state.spot_holdings()) {
        if (++looked_at > limits::spot_holdings_looked_at_max) break;
        if (bid >= 0 && !beats(state, order, ledger::Price(bid))) break;
        const auto listing_id = state.listing_of(state.at<Lease>(id).cards.front());
        if (!listing_id || !seen.insert(*listing_id).second) continue;
        const Pairing pairing = pair_up(state, order, state.at<Listing>(*listing_id), now);
        if (refusal(pairing)) continue;
        Plan plan(pairing);
        std::vector<CardId> cards = plan.choose();
        if (std::ssize(cards) != order.count) continue;
        // With the listing's notice in it, a hold is more than the least that makes a bid count.
        const Match match{{Member{*listing_id, cards}}};
        if (!is_payable(state, order, match)) continue;
        return Displacement{std::move(cards), std::move(plan.overtaken), std::move(plan.stopped)};
    }
    return std::nullopt;
}

void promise(Transaction& tx, OrderId id, std::vector<CardId> cards) {
    Order order = tx.state().at<Order>(id);
    order.promised = std::move(cards);
    tx.update(std::move(order), "order.promised");
}

/// The listing that still can serve an order that has a promise.
const Listing* promised_listing(const State& state, const Order& order, Time now) {
    const auto id = state.listing_of(order.promised.front());
    if (!id) return nullptr;
    const Listing& listing = state.at<Listing>(*id);
    const Pairing pairing = pair_up(state, order, listing, now);
    const bool serves =
        !refusal(pairing) && std::all_of(order.promised.begin(), order.promised.end(), [&](CardId card) {
            return state.listing_of(card) == id && suits(pairing, card);
        });
    return serves ? &listing : nullptr;
}

void serve_promise(Transaction& tx, OrderId id) {
    const State& state = tx.state();
    const Order& order = state.at<Order>(id);
    const Listing* listing = promised_listing(state, order, tx.now());
    if (listing == nullptr || !may_be_filled(state, order, tx.now())) return withdraw_promise(tx, id);
    const Match match{{Member{listing->id, order.promised}}};
    if (!is_payable(state, order, match)) return withdraw_promise(tx, id);
    const bool all_free = std::all_of(order.promised.begin(), order.promised.end(),
                                      [&](CardId card) { return state.at<Card>(card).is_free(); });
    if (all_free) fill(tx, id, match);
}

std::vector<OrderId> in_order_of_service(const std::set<State::Demand>& demands, std::size_t most) {
    std::vector<OrderId> orders;
    for (const auto& [price, since, id] : demands) {
        if (orders.size() == most) break;
        orders.push_back(id);
    }
    return orders;
}

}  // namespace

std::optional<ledger::Price> entry_price(const Listing& listing, const Order& order) {
    return is_spot(order) ? listing.spot_floor : std::optional(listing.ask);
}

ledger::Price highest_price(const State& state, const Lease& lease) {
    return lease.spot_floor ? state.at<Order>(lease.order).price_max : lease.price;
}

bool is_losing(const State& state, const Order& order, Time now) {
    return order.promised.empty() && may_be_filled(state, order, now) && can_pay(state, order);
}

bool accepts(const State& state, const Order& order, const Listing& listing, CardId card, Time now) {
    const Pairing pairing = pair_up(state, order, listing, now);
    return suits(pairing, card) && !refusal(pairing) && suitable_cards(pairing) >= order.count;
}

ledger::Price spot_price(const State& state, const Listing& listing, const std::vector<CardId>& cards,
                         ledger::Price floor, std::optional<OrganizationId> holder, Time now) {
    for (const auto& [negative, since, id] : state.bids()) {
        const Order& bid = state.at<Order>(id);
        if (bid.price_max <= floor) break;
        if (bid.organization == holder || bid.organization == listing.organization) continue;
        const bool wants_one = std::any_of(cards.begin(), cards.end(), [&](CardId card) {
            return accepts(state, bid, listing, card, now);
        });
        if (wants_one && is_losing(state, bid, now)) return bid.price_max;
    }
    return floor;
}

void match_standing_bids(Transaction& tx) {
    const State& state = tx.state();
    if (state.bids().empty() || state.spot_offers().empty()) return;
    std::size_t filled = 0;
    for (const OrderId id : in_order_of_service(state.bids(), state.bids().size())) {
        if (filled == state.rules().matches_per_command_max || state.spot_offers().empty()) return;
        const Order& order = state.at<Order>(id);
        if (order.price_max < state.spot_offers().begin()->first) return;
        if (!may_be_filled(state, order, tx.now())) continue;
        auto match = find_match(state, order, tx.now());
        if (match && !is_payable(state, order, *match)) match = find_payable_match(state, order, tx.now());
        if (!match) continue;
        fill(tx, id, *match);
        ++filled;
    }
}

bool displace_for(Transaction& tx, OrderId first) {
    const State& state = tx.state();
    if (state.spot_holdings().empty()) return false;
    bool is_promised = false;
    std::vector<OrderId> seeking{first};
    for (std::size_t i = 0; i < seeking.size() && i < state.rules().matches_per_command_max; ++i) {
        const OrderId id = seeking[i];
        // What was displaced before may have found a place, or given one to this order.
        if (!is_standing(state, id) || !state.at<Order>(id).promised.empty()) continue;
        const Order& order = state.at<Order>(id);
        // Whole cards of one listing are what can be promised.
        if (order.is_gang() || order.is_for_share()) continue;
        if (!may_be_filled(state, order, tx.now()) || !can_pay(state, order)) continue;
        auto found = find_displacement(state, order, tx.now());
        if (!found) continue;
        for (const OrderId overtaken : found->overtaken) {
            withdraw_promise(tx, overtaken);
            seeking.push_back(overtaken);
        }
        promise(tx, id, std::move(found->cards));
        is_promised = true;
        for (const LeaseId lease : found->stopped)
            stop_lease(tx, lease, EndReason::outbid, state.at<Lease>(lease).reclaim_notice);
    }
    return is_promised;
}

void displace_again(Transaction& tx) {
    const State& state = tx.state();
    if (state.is_frozen(FreezeKind::market, state.rules().market)) return;
    match_standing_orders(tx);
    std::set<OrderId> promised;
    for (const auto& [card, id] : state.promises())
        promised.insert(id);
    for (const OrderId id : promised)
        if (is_standing(state, id)) serve_promise(tx, id);
    const std::size_t most = state.rules().matches_per_command_max;
    std::size_t rounds = 0;
    // What is displaced may stand again with a bid that displaces a lower one.
    for (bool again = true; again && rounds < most; ++rounds) {
        again = false;
        for (const auto* demands : {&state.demands(), &state.bids()})
            for (const OrderId id : in_order_of_service(*demands, most))
                if (displace_for(tx, id)) again = true;
    }
}

void serve_promises(Transaction& tx, const std::vector<CardId>& freed) {
    if (tx.state().promises().empty()) return;
    std::set<OrderId> waiting;
    for (const CardId card : freed)
        if (const auto order = tx.state().promised_to(card)) waiting.insert(*order);
    for (const OrderId id : waiting)
        serve_promise(tx, id);
}

void withdraw_promise(Transaction& tx, OrderId id) {
    Order order = tx.state().at<Order>(id);
    order.promised.clear();
    tx.update(std::move(order), "order.promise_ended");
}

}  // namespace fallow::market
