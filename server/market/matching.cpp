#include "market/matching.hpp"

#include <algorithm>

#include "market/filling.hpp"
#include "market/handlers.hpp"
#include "market/placing.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

/// The card that a share is taken of: the fullest that it fits on.
std::vector<CardId> choose_share(const Pairing& pairing) {
    const auto fits = [&](CardId id) { return !refusal(pairing, pairing.state.at<Card>(id)); };
    for (const auto& [used, index, id] : pairing.state.part_cards_of(pairing.listing.id))
        if (fits(id)) return {id};
    for (const auto& [index, id] : pairing.state.free_cards_of(pairing.listing.id))
        if (fits(id)) return {id};
    return {};
}

/// The cards of the listing that the order takes; fewer than it asks for when there are not enough.
std::vector<CardId> choose_cards(const Pairing& pairing) {
    if (pairing.order.is_for_share()) return choose_share(pairing);
    std::vector<CardId> chosen;
    for (const auto& [index, id] : pairing.state.free_cards_of(pairing.listing.id)) {
        if (static_cast<std::int32_t>(chosen.size()) == pairing.order.count) break;
        if (!refusal(pairing, pairing.state.at<Card>(id))) chosen.push_back(id);
    }
    return chosen;
}

/// The lowest ask of anything that is free; none when nothing is.
std::optional<ledger::Price> lowest_ask(const State& state) {
    std::optional<ledger::Price> lowest;
    for (const auto* offers : {&state.offers(), &state.share_offers()})
        if (!offers->empty() && (!lowest || offers->begin()->first < *lowest))
            lowest = offers->begin()->first;
    return lowest;
}

/// Why the i-th of weighed listings is taken when those before it are refused. `more` ask the same and were
/// not weighed, for their ids are higher.
ChosenBy reason(const std::vector<Weighed>& weighed, std::size_t i, bool more) {
    if (i + 1 == weighed.size()) return more ? ChosenBy::lowest_id : ChosenBy::price;
    return weighed[i].cost == weighed[i + 1].cost ? ChosenBy::lowest_id : ChosenBy::fragmentation;
}

/// Calls `visit` with each listing that may serve the order, in the order of service, and with why it comes
/// before those behind it, until it says false.
template <class Visit>
void each_in_service(const State& state, const Order& order, Visit&& visit) {
    if (order.requirements.listing || order.pricing == OrderPricing::spot) {
        const auto named = order.requirements.listing ? std::optional(ChosenBy::named) : std::nullopt;
        each_candidate(state, order, [&](const Listing& listing) { return visit(listing, named); });
        return;
    }
    const auto& offers = order.is_for_share() ? state.share_offers() : state.offers();
    Weighing weighing(state, order);
    std::vector<ListingId> equals;
    for (auto at = offers.begin(); at != offers.end() && at->first <= order.price_max;) {
        const auto asks_as_much = [price = at->first, &offers](auto other) {
            return other != offers.end() && other->first == price;
        };
        if (!asks_as_much(std::next(at))) {
            if (!visit(state.at<Listing>(at->second), ChosenBy::price)) return;
            ++at;
            continue;
        }
        equals.clear();
        for (; asks_as_much(at) && equals.size() < equal_asks_weighed_max; ++at)
            equals.push_back(at->second);
        const std::vector<Weighed> weighed = weighing.weigh(equals);
        for (std::size_t i = 0; i < weighed.size(); ++i)
            if (!visit(state.at<Listing>(weighed[i].listing), reason(weighed, i, asks_as_much(at)))) return;
    }
}

/// The first match in the order of service that leaves others their claims.
std::optional<Match> match_beside(const Claims* claims, const State& state, const Order& order, Time now,
                                  const std::string* image) {
    Match match;
    const auto wanted = static_cast<std::size_t>(order.hosts);
    const auto is_taken = [&](HostId host) {
        return std::any_of(match.members.begin(), match.members.end(), [&](const Member& member) {
            return state.at<Listing>(member.listing).host == host;
        });
    };
    each_in_service(state, order, [&](const Listing& listing, std::optional<ChosenBy> chosen_by) {
        if (is_taken(listing.host)) return true;
        if (auto member = fit(state, listing, order, now, image, claims).member) {
            member->chosen_by = chosen_by;
            match.members.push_back(*std::move(member));
        }
        return match.members.size() < wanted;
    });
    return match.members.size() == wanted ? std::optional(std::move(match)) : std::nullopt;
}

}  // namespace

bool may_be_filled(const State& state, const Order& order, Time now) {
    return order.expires_at > now && check_may_trade(state, order.organization) &&
           (!order.job || check_image(state, state.at<Job>(*order.job).image));
}

Fit fit(const State& state, const Listing& listing, const Order& order, Time now, const std::string* image,
        const Claims* claims) {
    Pairing pairing = pair_up(state, order, listing, now, image);
    pairing.claims = claims;
    if (const auto refused = refusal(pairing)) return Fit{std::nullopt, refused};
    Member member{listing.id, choose_cards(pairing), order.thousandths};
    if (static_cast<std::int32_t>(member.cards.size()) < order.count)
        return Fit{std::nullopt, Constraint::cards};
    return Fit{std::move(member), std::nullopt};
}

std::optional<Match> find_match(const State& state, const Order& order, Time now,
                                const std::string* image) {
    if (state.large_demands().empty()) return match_beside(nullptr, state, order, now, image);
    const Claims claims = claims_before(state, order, now);
    return match_beside(&claims, state, order, now, image);
}

namespace {

void match_fixed_orders(Transaction& tx) {
    const State& state = tx.state();
    if (!lowest_ask(state)) return;
    std::vector<OrderId> waiting;
    waiting.reserve(state.demands().size());
    for (const auto& [price, placed, id] : state.demands())
        waiting.push_back(id);
    Claims claims;
    std::size_t claiming = 0;
    std::size_t filled = 0;
    for (const OrderId id : waiting) {
        const auto lowest = lowest_ask(state);
        if (filled == state.rules().matches_per_command_max || !lowest) return;
        const Order& order = state.at<Order>(id);
        // The orders behind this one pay no more, and the asks only rise from here.
        if (order.price_max < *lowest) return;
        if (!may_be_filled(state, order, tx.now())) continue;
        const auto match = match_beside(&claims, state, order, tx.now(), nullptr);
        if (!match && order.is_large() && claiming++ < limits::claiming_orders_max)
            add_claims(claims, state, order, tx.now());
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
