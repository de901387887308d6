#include "market/listings.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/matching.hpp"

namespace fallow::market {
namespace {

Status check_card(const State& state, HostId host, CardId id, const std::string& pointer) {
    const Card* card = state.find<Card>(id);
    if (card == nullptr || card->host != host)
        return refuse(ErrorCode::not_found, fmt::format("The host has no {}.", id.text()), pointer);
    if (!card->vram_bytes)
        return refuse(ErrorCode::card_not_verified,
                      fmt::format("{} has not been measured by its agent yet.", id.text()), pointer);
    if (const auto listing = state.listing_of(id))
        return refuse(ErrorCode::card_already_listed,
                      fmt::format("{} is part of {}: withdraw that first.", id.text(), listing->text()),
                      pointer);
    return Done{};
}

Status check_cards(const State& state, const CreateListing& command) {
    std::set<CardId> seen;
    for (std::size_t i = 0; i < command.cards.size(); ++i) {
        const std::string pointer = fmt::format("/card_ids/{}", i);
        if (!seen.insert(command.cards[i]).second)
            return refuse(ErrorCode::invalid_field, "A card stands twice in the list.", pointer);
        if (const auto fine = check_card(state, command.host, command.cards[i], pointer); !fine)
            return fine;
    }
    return Done{};
}

Status check_terms(const Listing& listing) {
    if (listing.term_min > listing.term_max)
        return refuse(ErrorCode::invalid_field, "The shortest term is longer than the longest.",
                      "/term_min_ms");
    if (listing.bundle_min > static_cast<std::int32_t>(listing.cards.size()))
        return refuse(ErrorCode::invalid_field, "The smallest bundle has more cards than the listing.",
                      "/bundle_min");
    if (listing.available_from && listing.available_until &&
        *listing.available_from >= *listing.available_until)
        return refuse(ErrorCode::invalid_field, "The window ends before it begins.", "/available_until");
    return Done{};
}

/// A commitment is given for the future, and never taken back before its time.
Status check_commitment(std::optional<Time> before, const Listing& listing, Time now) {
    if (listing.committed_until == before) return Done{};
    if (*listing.committed_until <= now)
        return refuse(ErrorCode::invalid_field, "Give a moment that is still to come.", "/committed_until");
    if (before && *before > now && *listing.committed_until < *before)
        return refuse(ErrorCode::committed,
                      fmt::format("The listing is committed until {}: it can be longer, never shorter.",
                                  to_rfc3339(*before)),
                      "/committed_until");
    return Done{};
}

/// Whether somebody relies on the listing's commitment.
bool is_needed(const State& state, const Listing& listing, Time now) {
    if (!listing.committed_until || *listing.committed_until <= now) return false;
    for (const CardId card : listing.cards)
        if (!state.bookings_of(card).empty()) return true;
    for (const LeaseId id : state.live_leases_of(listing.host)) {
        const Lease& lease = state.at<Lease>(id);
        if (lease.listing == listing.id && lease.state != LeaseState::ended) return true;
    }
    return false;
}

}  // namespace

ListingView view_of(const State& state, const Listing& listing) {
    const Host& host = state.at<Host>(listing.host);
    ListingView view;
    view.listing = listing;
    view.country = host.country;
    view.runtime = host.runtime;
    view.cards_total = static_cast<std::int32_t>(listing.cards.size());
    view.cards_free = state.free_cards(listing.id);
    for (const CardId id : listing.cards) {
        const Card& card = state.at<Card>(id);
        if (view.product.empty()) {
            view.product = card.product;
            view.device_class = card.device_class;
            view.vram_bytes = card.vram_bytes;
        } else if (card.vram_bytes && (!view.vram_bytes || *card.vram_bytes < *view.vram_bytes)) {
            view.vram_bytes = card.vram_bytes;
        }
    }
    return view;
}

Result<Outcome> handle(Transaction& tx, const CreateListing& command) {
    const State& state = tx.state();
    const auto host = visible(tx, command.host);
    if (!host) return refuse(host.error().code, host.error().detail, "/host_id");
    if (const auto open = check_may_trade(state, (*host)->organization); !open) return open.error();
    if ((*host)->state == HostState::retired)
        return refuse(ErrorCode::wrong_state, "The host is retired.", "/host_id");
    if (const auto fine = check_cards(state, command); !fine) return fine.error();
    Listing listing{{},
                    (*host)->organization,
                    command.host,
                    command.cards,
                    ListingState::open,
                    command.ask,
                    command.spot_floor,
                    command.storage_price,
                    command.egress_price,
                    command.term_min,
                    command.term_max,
                    command.reclaim_notice,
                    command.bundle_min,
                    command.available_from,
                    command.available_until,
                    command.committed_until,
                    tx.now(),
                    1};
    if (const auto fine = check_terms(listing); !fine) return fine.error();
    if (const auto fine = check_commitment({}, listing, tx.now()); !fine) return fine.error();

    listing.id = tx.make_id<ListingId>();
    std::sort(listing.cards.begin(), listing.cards.end(), [&](CardId a, CardId b) {
        return std::pair{state.at<Card>(a).index, a} < std::pair{state.at<Card>(b).index, b};
    });
    tx.insert(listing, "listing.opened");
    match_standing_orders(tx);
    return Outcome(view_of(state, state.at<Listing>(listing.id)));
}

Result<Outcome> handle(Transaction& tx, const UpdateListing& command) {
    const auto found = visible(tx, command.listing);
    if (!found) return found.error();
    Listing listing = **found;
    if (listing.state == ListingState::withdrawn)
        return refuse(ErrorCode::wrong_state, "The listing is withdrawn: make a new one.");
    if (listing.version != command.version)
        return refuse(ErrorCode::precondition_failed,
                      fmt::format("The listing has version {} now: read it again.", listing.version),
                      "header:If-Match");
    listing.ask = command.ask.value_or(listing.ask);
    if (command.spot_floor) listing.spot_floor = command.spot_floor;
    if (command.no_spot) listing.spot_floor.reset();
    listing.storage_price = command.storage_price.value_or(listing.storage_price);
    listing.egress_price = command.egress_price.value_or(listing.egress_price);
    listing.term_min = command.term_min.value_or(listing.term_min);
    listing.term_max = command.term_max.value_or(listing.term_max);
    listing.reclaim_notice = command.reclaim_notice.value_or(listing.reclaim_notice);
    listing.state = command.state.value_or(listing.state);
    listing.committed_until = command.committed_until ? command.committed_until : listing.committed_until;
    if (const auto fine = check_terms(listing); !fine) return fine.error();
    if (const auto fine = check_commitment((*found)->committed_until, listing, tx.now()); !fine)
        return fine.error();

    tx.update(std::move(listing), "listing.changed");
    match_standing_orders(tx);
    return Outcome(view_of(tx.state(), tx.state().at<Listing>(command.listing)));
}

Result<Outcome> handle(Transaction& tx, const WithdrawListing& command) {
    const auto found = visible(tx, command.listing);
    if (!found) return found.error();
    if ((*found)->state == ListingState::withdrawn)
        return refuse(ErrorCode::wrong_state, "The listing is withdrawn already.");
    if (is_needed(tx.state(), **found, tx.now()))
        return refuse(ErrorCode::committed,
                      fmt::format("The listing is committed until {} and has leases or reservations: pause "
                                  "it, and withdraw it when they are over.",
                                  to_rfc3339(*(*found)->committed_until)));

    Listing listing = **found;
    listing.state = ListingState::withdrawn;
    tx.update(std::move(listing), "listing.withdrawn");
    return Outcome(view_of(tx.state(), tx.state().at<Listing>(command.listing)));
}

}  // namespace fallow::market
