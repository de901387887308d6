#include "market/bookings.hpp"

#include <algorithm>

#include "market/eligibility.hpp"
#include "market/quotes.hpp"

namespace fallow::market {
namespace {

/// Whether two spans have a moment in common.
bool overlap(Time a_from, Time a_until, Time b_from, Time b_until) {
    return a_from < b_until && b_from < a_until;
}

bool is_booked_within(const State& state, CardId card, Time from, Time until) {
    for (const auto& [start, id] : state.bookings_of(card)) {
        if (start >= until) return false;
        if (overlap(from, until, start, state.at<Booking>(id).ends_at)) return true;
    }
    return false;
}

/// When a lease that is not part of a reservation gives its cards up at the latest, scrub not counted.
Time latest_end(const Rules& rules, const Lease& lease, Time now) {
    switch (lease.state) {
        case LeaseState::allocated:
        case LeaseState::preparing:
            return now + preparation(rules) + lease.term;
        case LeaseState::running:
            return *lease.running_at + lease.term;
        case LeaseState::reclaiming:
        case LeaseState::ended:
            return now;
    }
    return now;
}

bool is_leased_until(const State& state, const Card& card, Time from, Time now) {
    if (card.used == 0) return false;
    for (const LeaseId id : state.live_leases_of(card.host)) {
        const Lease& lease = state.at<Lease>(id);
        if (std::find(lease.cards.begin(), lease.cards.end(), card.id) == lease.cards.end()) continue;
        if (state.reservation_of(id)) continue;  // its booking says when it ends
        if (latest_end(state.rules(), lease, now) + turnaround(state.rules()) > from) return true;
    }
    return false;
}

/// Everything that a card must be but free at this moment.
bool is_suitable(const Pairing& pairing, const Card& card) {
    return std::ranges::all_of(card_rules(), [&](const CardRule& rule) {
        return rule.constraint == Constraint::in_use || rule.constraint == Constraint::booked ||
               rule.holds(pairing, card);
    });
}

std::optional<Block> block_of(const State& state, const Order& order, const Listing& listing,
                              Time starts_at, Time now) {
    const Time ends_at = starts_at + order.term;
    if (!listing.committed_until || *listing.committed_until < ends_at) return std::nullopt;
    const Pairing pairing = pair_up(state, order, listing, starts_at);
    if (refusal(pairing)) return std::nullopt;
    Block block{listing.id, {}};
    for (const CardId id : listing.cards) {
        const Card& card = state.at<Card>(id);
        if (is_suitable(pairing, card) && is_bookable(state, card, starts_at, ends_at, now))
            block.cards.push_back(id);
        if (static_cast<std::int32_t>(block.cards.size()) == order.count) return block;
    }
    return std::nullopt;
}

bool can_cover_bond(const State& state, const Order& order, const Listing& listing) {
    if (listing.organization == order.organization) return true;
    const ledger::Micros whole = ledger::cost_ceiling(
        {price_of(order, listing), order.count * limits::thousandths_per_card}, order.term);
    return bond_source(state, listing.organization, part_of(whole, state.rules().penalty_ppm)).has_value();
}

}  // namespace

Millis preparation(const Rules& rules) {
    return rules.attach_deadline + rules.accept_deadline + rules.pull_deadline + rules.start_deadline;
}

Millis turnaround(const Rules& rules) {
    return rules.stop_grace + rules.reclaim_deadline + rules.heartbeat;
}

bool ends_before_bookings(const State& state, CardId card, Millis term, Time now) {
    if (!state.has_bookings()) return true;
    const Rules& rules = state.rules();
    return !is_booked_within(state, card, now, now + preparation(rules) + term + turnaround(rules));
}

std::optional<Millis> longest_before_bookings(const State& state, CardId card, Time now) {
    const Rules& rules = state.rules();
    for (const auto& [start, id] : state.bookings_of(card)) {
        if (state.at<Booking>(id).ends_at <= now) continue;
        const Millis longest = start - now - preparation(rules) - turnaround(rules);
        return longest > Millis(0) ? std::optional(longest) : std::nullopt;
    }
    return std::nullopt;
}

bool is_bookable(const State& state, const Card& card, Time from, Time until, Time now) {
    const Millis gap = turnaround(state.rules());
    return !is_booked_within(state, card.id, from - gap, until + gap) &&
           !is_leased_until(state, card, from, now);
}

std::optional<Block> find_block(const State& state, const Order& order, Time starts_at, Time now,
                                std::optional<ListingId> only) {
    const auto wanted = only ? only : order.requirements.listing;
    if (wanted) {
        const Listing* listing = state.find<Listing>(*wanted);
        if (listing == nullptr || !can_cover_bond(state, order, *listing)) return std::nullopt;
        return block_of(state, order, *listing, starts_at, now);
    }
    for (const auto& [ask, id] : state.committed()) {
        if (ask > order.price_max) break;
        const Listing& listing = state.at<Listing>(id);
        auto block = block_of(state, order, listing, starts_at, now);
        if (block && can_cover_bond(state, order, listing)) return block;
    }
    return std::nullopt;
}

std::optional<ledger::AccountKind> bond_source(const State& state, OrganizationId seller,
                                               ledger::Micros bond) {
    for (const auto kind : {ledger::AccountKind::available, ledger::AccountKind::earned})
        if (state.account(seller, kind).balance >= bond) return kind;
    return std::nullopt;
}

ledger::Micros part_of(ledger::Micros amount, std::int32_t ppm) {
    return ledger::fee_of(amount, ppm);
}

}  // namespace fallow::market
