#include "market/matching.hpp"

#include "market/filling.hpp"
#include "market/handlers.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

/// The cards of the listing that the order takes; fewer than it asks for when there are not enough.
std::vector<CardId> choose_cards(const Pairing& pairing) {
    std::vector<CardId> chosen;
    for (const auto& [index, id] : pairing.state.free_cards_of(pairing.listing.id)) {
        if (static_cast<std::int32_t>(chosen.size()) == pairing.order.count) break;
        if (!refusal(pairing, pairing.state.at<Card>(id))) chosen.push_back(id);
    }
    return chosen;
}

}  // namespace

bool may_be_filled(const State& state, const Order& order, Time now) {
    return order.expires_at > now && check_may_trade(state, order.organization) &&
           (!order.job || check_image(state, state.at<Job>(*order.job).image));
}

Fit fit(const State& state, const Listing& listing, const Order& order, Time now) {
    const Pairing pairing = pair_up(state, order, listing, now);
    if (const auto refused = refusal(pairing)) return Fit{std::nullopt, refused};
    Member member{listing.id, choose_cards(pairing)};
    if (static_cast<std::int32_t>(member.cards.size()) < order.count)
        return Fit{std::nullopt, Constraint::cards};
    return Fit{std::move(member), std::nullopt};
}

std::optional<Match> find_match(const State& state, const Order& order, Time now) {
    std::optional<Match> found;
    each_candidate(state, order, [&](const Listing& listing) {
        if (auto member = fit(state, listing, order, now).member) found = Match{{*std::move(member)}};
        return !found;
    });
    return found;
}

namespace {

void match_fixed_orders(Transaction& tx) {
    const State& state = tx.state();
    if (state.offers().empty()) return;
    std::vector<OrderId> waiting;
    waiting.reserve(state.demands().size());
    for (const auto& [price, placed, id] : state.demands())
        waiting.push_back(id);
    std::size_t filled = 0;
    for (const OrderId id : waiting) {
        if (filled == state.rules().matches_per_command_max || state.offers().empty()) return;
        const Order& order = state.at<Order>(id);
        // The orders behind this one pay no more, and the asks only rise from here.
        if (order.price_max < state.offers().begin()->first) return;
        if (!may_be_filled(state, order, tx.now())) continue;
        const auto match = find_match(state, order, tx.now());
        if (!match || !check_funds(state, order.organization, first_hold(state, order, *match))) continue;
        fill(tx, id, *match);
        ++filled;
    }
}

}  // namespace

void match_standing_orders(Transaction& tx) {
    if (tx.state().is_frozen(FreezeKind::market, tx.state().rules().market)) return;
    match_fixed_orders(tx);
    match_standing_bids(tx);
}

}  // namespace fallow::market
