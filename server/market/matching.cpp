#include "market/matching.hpp"

#include <algorithm>

#include "market/failed_starts.hpp"
#include "market/filling.hpp"
#include "market/handlers.hpp"
#include "market/placing.hpp"
#include "market/spot.hpp"
#include "market/topology.hpp"

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

/// The cards of the listing that the order takes; fewer than it asks for when there are not enough. Several
/// are of one NVLink group where one has room.
std::vector<CardId> choose_cards(const Pairing& pairing) {
    if (pairing.order.is_for_share()) return choose_share(pairing);
    const bool looks_at_groups = pairing.order.count > 1 && pairing.state.has_nvlink_groups();
    const auto wanted = static_cast<std::size_t>(pairing.order.count);
    std::vector<CardId> fitting;
    for (const auto& [index, id] : pairing.state.free_cards_of(pairing.listing.id)) {
        if (fitting.size() == wanted && !looks_at_groups) break;
        if (!refusal(pairing, pairing.state.at<Card>(id))) fitting.push_back(id);
    }
    if (looks_at_groups)
        if (auto linked = of_one_group(pairing.state, fitting, wanted); !linked.empty()) return linked;
    if (pairing.order.needs_nvlink()) return {};
    if (fitting.size() > wanted) fitting.resize(wanted);
    return fitting;
}

/// The lowest ask of anything that is free; none when nothing is.
std::optional<ledger::Price> lowest_ask(const State& state) {
    std::optional<ledger::Price> lowest;
    for (const auto* offers : {&state.offers(), &state.share_offers()})
        if (!offers->empty() && (!lowest || offers->begin()->first < *lowest))
            lowest = offers->begin()->first;
    return lowest;
}

struct Offered {
    ListingId listing;
    std::optional<ChosenBy> chosen_by = std::nullopt;
};

/// Why the i-th of weighed listings is taken when those before it are refused. `more` ask the same and were
/// not weighed, for their ids are higher.
ChosenBy reason(const std::vector<Weighed>& weighed, std::size_t i, bool more) {
    if (i + 1 == weighed.size()) return more ? ChosenBy::lowest_id : ChosenBy::price;
    return weighed[i].cost == weighed[i + 1].cost ? ChosenBy::lowest_id : ChosenBy::fragmentation;
}

/// Calls `visit` with the listings that may serve the order, in the order of service, each with why it
/// comes before those behind it, until it says false: together those with one ask, at most so many as are
/// weighed.
template <class Visit>
void each_ask(const State& state, const Order& order, Visit&& visit) {
    std::vector<Offered> offered(1);
    if (order.requirements.listing || order.pricing == OrderPricing::spot) {
        offered[0].chosen_by = order.requirements.listing ? std::optional(ChosenBy::named) : std::nullopt;
        each_candidate(state, order, [&](const Listing& listing) {
            offered[0].listing = listing.id;
            return visit(offered);
        });
        return;
    }
    const auto& offers = order.is_for_share() ? state.share_offers() : state.offers();
    Weighing weighing(state, order);
    std::vector<ListingId> equals;
    for (auto at = offers.begin(); at != offers.end() && at->first <= order.price_max;) {
        const auto asks_as_much = [price = at->first, &offers](auto other) {
            return other != offers.end() && other->first == price;
        };
        offered.clear();
        if (!asks_as_much(std::next(at))) {
            offered.push_back({at->second, ChosenBy::price});
            ++at;
        } else {
            equals.clear();
            for (; asks_as_much(at) && equals.size() < equal_asks_weighed_max; ++at)
                equals.push_back(at->second);
            const std::vector<Weighed> weighed = weighing.weigh(equals);
            for (std::size_t i = 0; i < weighed.size(); ++i)
                offered.push_back({weighed[i].listing, reason(weighed, i, asks_as_much(at))});
        }
        if (!visit(offered)) return;
    }
}

/// So that a gang of such members is payable.
bool is_payable_with_as_dear(const State& state, const Order& order, const Member& member) {
    const ledger::Micros one = first_hold(state, order, Match{{member}});
    return check_funds(state, order.organization, ledger::Micros(one.count * order.hosts)).ok();
}

enum class Funds { any, enough };

/// The first match in the order of service that leaves others their claims. Among listings with one ask,
/// those come first whose cards are linked, and a gang's in one rack.
std::optional<Match> match_beside(const Claims* claims, const State& state, const Order& order, Time now,
                                  const std::string* image, Funds funds = Funds::any) {
    Match match;
    const auto wanted = static_cast<std::size_t>(order.hosts);
    const bool prefers = has_preference(state, order);
    const auto is_taken = [&](ListingId listing) {
        const HostId host = state.at<Listing>(listing).host;
        return std::any_of(match.members.begin(), match.members.end(), [&](const Member& member) {
            return state.at<Listing>(member.listing).host == host;
        });
    };
    each_ask(state, order, [&](const std::vector<Offered>& offered) {
        std::vector<Member> found;
        for (const Offered& one : offered) {
            if (match.members.size() == wanted || is_taken(one.listing)) continue;
            auto member = fit(state, state.at<Listing>(one.listing), order, now, image, claims).member;
            if (!member) continue;
            if (funds == Funds::enough && !is_payable_with_as_dear(state, order, *member)) continue;
            member->chosen_by = one.chosen_by;
            (prefers ? found : match.members).push_back(*std::move(member));
        }
        take_preferred(state, wanted, std::move(found), match.members);
        return match.members.size() < wanted;
    });
    return match.members.size() == wanted ? std::optional(std::move(match)) : std::nullopt;
}

}  // namespace

bool may_be_filled(const State& state, const Order& order, Time now) {
    return order.expires_at > now && check_may_trade(state, order.organization) &&
           (!order.job || (check_image(state, state.at<Job>(*order.job).image) &&
                           check_may_start(state, order.organization, now)));
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

bool is_payable(const State& state, const Order& order, const Match& match) {
    return check_funds(state, order.organization, first_hold(state, order, match)).ok();
}

std::optional<Match> find_payable_match(const State& state, const Order& order, Time now,
                                        const std::string* image) {
    const Claims claims = claims_before(state, order, now);
    return match_beside(&claims, state, order, now, image, Funds::enough);
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
        auto match = match_beside(&claims, state, order, tx.now(), nullptr);
        if (!match && order.is_large() && claiming++ < limits::claiming_orders_max)
            add_claims(claims, state, order, tx.now());
        if (match && !is_payable(state, order, *match))
            match = match_beside(&claims, state, order, tx.now(), nullptr, Funds::enough);
        if (!match) continue;
        fill(tx, id, *match);
        ++filled;
    }
}

}  // namespace

bool has_pair(const State& state) {
    return (!state.demands().empty() && lowest_ask(state)) ||
           (!state.bids().empty() && !state.spot_offers().empty());
}

void match_standing_orders(Transaction& tx) {
    if (tx.state().is_frozen(FreezeKind::market, tx.state().rules().market)) return;
    match_fixed_orders(tx);
    match_standing_bids(tx);
}

}  // namespace fallow::market
