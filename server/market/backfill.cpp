#include "market/backfill.hpp"

#include <algorithm>
#include <vector>

#include "market/eligibility.hpp"
#include "market/filling.hpp"
#include "market/handlers.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

/// The cards of one listing that an order will have, and when the last of them is free.
struct Wait {
    Time until;
    HostId host;
    std::vector<CardId> cards;
};

Millis longest_start(const Rules& rules) {
    return rules.accept_deadline + rules.pull_deadline + rules.start_deadline;
}

/// When a lease's cards are free by its term. One that has ended waits for its host's word alone.
Time ends_at(const Rules& rules, const Lease& lease, Time now) {
    if (lease.state == LeaseState::ended || lease.state == LeaseState::reclaiming) return now;
    Time end = lease.running_at ? *lease.running_at + lease.term
                                : lease.allocated_at + longest_start(rules) + lease.term;
    if (lease.ends_by) end = std::min(end, *lease.ends_by);
    if (lease.reclaim_deadline) end = std::min(end, *lease.reclaim_deadline);
    return end;
}

std::unordered_map<CardId, Time> ends_on(const State& state, HostId host, Time now) {
    std::unordered_map<CardId, Time> ends;
    for (const LeaseId id : state.live_leases_of(host)) {
        const Lease& lease = state.at<Lease>(id);
        for (const CardId card : lease.cards)
            ends[card] = std::max(ends[card], ends_at(state.rules(), lease, now));
    }
    return ends;
}

/// Whether the card is what the order wants, in use or not.
bool suits(const Pairing& pairing, const Card& card) {
    const auto passes = [](Constraint constraint) {
        return constraint == Constraint::in_use || constraint == Constraint::tenant;
    };
    const auto rules = card_rules();
    return std::all_of(rules.begin(), rules.end(), [&](const CardRule& rule) {
        return passes(rule.constraint) || rule.holds(pairing, card);
    });
}

std::optional<Wait> wait_for(const Pairing& pairing, const Claims& claimed) {
    const auto ends = ends_on(pairing.state, pairing.host.id, pairing.now);
    std::vector<std::pair<Time, CardId>> cards;
    for (const CardId id : pairing.listing.cards) {
        if (claimed.contains(id) || !suits(pairing, pairing.state.at<Card>(id))) continue;
        const auto end = ends.find(id);
        cards.emplace_back(end == ends.end() ? pairing.now : end->second, id);
    }
    const auto count = static_cast<std::size_t>(pairing.order.count);
    if (cards.size() < count) return std::nullopt;
    std::sort(cards.begin(), cards.end());
    Wait wait{cards[count - 1].first, pairing.host.id, {}};
    for (std::size_t i = 0; i < count; ++i)
        wait.cards.push_back(cards[i].second);
    return wait;
}

/// The earliest wait on each host, at most one for a host.
std::vector<Wait> waits_of(const Claims& claimed, const State& state, const Order& order, Time now) {
    std::vector<Wait> waits;
    std::size_t looked_at = 0;
    for (const auto& [ask, id] : state.asks()) {
        if (ask > order.price_max || looked_at++ == limits::claim_listings_max) break;
        const Pairing pairing = pair_up(state, order, state.at<Listing>(id), now);
        if (refusal(pairing)) continue;
        auto wait = wait_for(pairing, claimed);
        if (!wait) continue;
        const auto known = std::find_if(waits.begin(), waits.end(),
                                        [&](const Wait& other) { return other.host == wait->host; });
        if (known == waits.end())
            waits.push_back(*std::move(wait));
        else if (wait->until < known->until)
            *known = *std::move(wait);
    }
    std::stable_sort(waits.begin(), waits.end(),
                     [](const Wait& a, const Wait& b) { return a.until < b.until; });
    return waits;
}

}  // namespace

void add_claims(Claims& claims, const State& state, const Order& order, Time now) {
    if (!order.promised.empty() || !check_may_trade(state, order.organization) ||
        !check_funds(state, order.organization, first_hold_at_limit(state, order)))
        return;
    const std::vector<Wait> waits = waits_of(claims, state, order, now);
    const auto hosts = static_cast<std::size_t>(order.hosts);
    // What it could have now it lacks for another reason than time, and holds up nobody.
    if (waits.size() < hosts || waits[hosts - 1].until <= now) return;
    for (std::size_t i = 0; i < hosts; ++i)
        for (const CardId card : waits[i].cards)
            claims.emplace(card, waits[hosts - 1].until);
}

Claims claims_before(const State& state, const Order& order, Time now) {
    // An order that has no id yet is the youngest of its moment. A bid comes after all at fixed price.
    State::Demand own = State::demand_of(order);
    if (order.id == OrderId{}) std::get<OrderId>(own) = OrderId(RawId{UINT64_MAX, UINT64_MAX});
    Claims claims;
    std::size_t counted = 0;
    for (const State::Demand& demand : state.large_demands()) {
        if (!(is_spot(order) || demand < own) || counted++ == limits::claiming_orders_max) break;
        add_claims(claims, state, state.at<Order>(std::get<OrderId>(demand)), now);
    }
    return claims;
}

Time gives_back_by(const State& state, const Order& order, Time now) {
    return now + longest_start(state.rules()) + order.term;
}

}  // namespace fallow::market
