#include "market/listings.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/matching.hpp"
#include "market/search/query.hpp"
#include "market/weekly_window.hpp"

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
    if (listing.is_shared() && listing.bundle_min > 1)
        return refuse(ErrorCode::invalid_field,
                      "Cards that are leased only in bundles cannot be shared: set bundle_min to 1.",
                      "/share_min_thousandths");
    for (std::size_t i = 0; i < listing.windows.size(); ++i)
        if (!parse_weekly_window(listing.windows[i]))
            return refuse(ErrorCode::invalid_field, "Give a weekly window like \"fri 18:00-mon 08:00\".",
                          fmt::format("/windows/{}", i));
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

Listing listing_of(const Transaction& tx, const Host& host, const CreateListing& command) {
    Listing listing;
    listing.organization = host.organization;
    listing.host = host.id;
    listing.cards = command.cards;
    listing.ask = command.ask;
    listing.spot_floor = command.spot_floor;
    listing.storage_price = command.storage_price;
    listing.egress_price = command.egress_price;
    listing.term_min = command.term_min;
    listing.term_max = command.term_max;
    listing.reclaim_notice = command.reclaim_notice;
    listing.bundle_min = command.bundle_min;
    listing.available_from = command.available_from;
    listing.available_until = command.available_until;
    listing.committed_until = command.committed_until;
    listing.created_at = tx.now();
    listing.share_min = command.share_min;
    listing.windows = command.windows;
    listing.windows_utc_offset_minutes = command.windows_utc_offset_minutes;
    listing.renters_allowed = command.renters_allowed;
    listing.renters_blocked = command.renters_blocked;
    listing.images_allowed = command.images_allowed;
    return listing;
}

void change_terms(Listing& listing, const ListingTerms& wanted) {
    const auto set = []<class T>(T& term, const std::optional<T>& value) {
        if (value) term = *value;
    };
    set(listing.ask, wanted.ask);
    if (wanted.spot_floor) listing.spot_floor = wanted.spot_floor;
    if (wanted.no_spot) listing.spot_floor.reset();
    set(listing.storage_price, wanted.storage_price);
    set(listing.egress_price, wanted.egress_price);
    set(listing.term_min, wanted.term_min);
    set(listing.term_max, wanted.term_max);
    set(listing.reclaim_notice, wanted.reclaim_notice);
    set(listing.state, wanted.state);
    if (wanted.committed_until) listing.committed_until = wanted.committed_until;
    set(listing.share_min, wanted.share_min);
    set(listing.windows, wanted.windows);
    set(listing.windows_utc_offset_minutes, wanted.windows_utc_offset_minutes);
    set(listing.renters_allowed, wanted.renters_allowed);
    set(listing.renters_blocked, wanted.renters_blocked);
    set(listing.images_allowed, wanted.images_allowed);
}

/// What a filter asks of cards.
Result<std::optional<search::Query>> card_query(const ListingFilter& filter) {
    constexpr const char* pointer = "/filter/query";
    if (!filter.query) return std::optional<search::Query>();
    auto query = search::parse_query(*filter.query);
    if (!query) return refuse(query.error().code, query.error().detail, pointer);
    if (!query->order.empty() || query->limit)
        return refuse(ErrorCode::invalid_field,
                      "A change is of all listings that are found: leave out order by and limit.", pointer);
    return std::optional(*std::move(query));
}

bool has_card_of(const State& state, const Listing& listing, const search::Query& query) {
    const Host& host = state.at<Host>(listing.host);
    const Organization& seller = state.at<Organization>(listing.organization);
    return std::any_of(listing.cards.begin(), listing.cards.end(), [&](CardId id) {
        const search::Facts facts{state, listing, host, seller, &state.at<Card>(id)};
        return search::matches(query, search::FactsRow(facts));
    });
}

/// The caller's listings that a filter finds, by id.
Result<std::vector<ListingId>> found_by(const State& state, OrganizationId seller,
                                        const ListingFilter& filter) {
    const auto query = card_query(filter);
    if (!query) return query.error();
    const auto has_product = [&](const Listing& listing) {
        return std::any_of(listing.cards.begin(), listing.cards.end(),
                           [&](CardId card) { return state.at<Card>(card).product == *filter.product; });
    };
    const auto is_named = [&](ListingId id) {
        return filter.listings.empty() ||
               std::find(filter.listings.begin(), filter.listings.end(), id) != filter.listings.end();
    };
    std::vector<ListingId> found;
    for (const ListingId id : state.listings_of(seller)) {
        const Listing& listing = state.at<Listing>(id);
        if (is_named(id) && (!filter.host || *filter.host == listing.host) &&
            (!filter.state || *filter.state == listing.state) &&
            (!filter.product || has_product(listing)) && (!*query || has_card_of(state, listing, **query)))
            found.push_back(id);
    }
    return found;
}

Status check_found(const ListingFilter& filter, const std::vector<ListingId>& found) {
    for (std::size_t i = 0; i < filter.listings.size(); ++i)
        if (!std::binary_search(found.begin(), found.end(), filter.listings[i]))
            return refuse(ErrorCode::not_found,
                          fmt::format("{} is none of your listings, or the filter does not find it.",
                                      filter.listings[i].text()),
                          fmt::format("/filter/listing_ids/{}", i));
    if (found.size() > limits::listings_per_change_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("The filter finds {} listings; a change takes at most {}.", found.size(),
                                  limits::listings_per_change_max),
                      "/filter");
    return Done{};
}

}  // namespace

std::optional<Time> closes_at(const Listing& listing, Time now) {
    std::optional<Time> closes = listing.available_until;
    if (listing.windows.empty()) return closes;
    const Millis open = open_for(listing.windows, listing.windows_utc_offset_minutes, now);
    if (open == days(7)) return closes;
    return closes ? std::min(*closes, now + open) : now + open;
}

bool admits(const Listing& listing, OrganizationId renter) {
    const auto is_in = [&](const std::vector<OrganizationId>& list) {
        return std::find(list.begin(), list.end(), renter) != list.end();
    };
    return !is_in(listing.renters_blocked) &&
           (listing.renters_allowed.empty() || is_in(listing.renters_allowed));
}

bool admits(const Listing& listing, const std::string& image) {
    const auto covers = [&](const std::string& entry) {
        if (entry.ends_with('*')) return image.starts_with(entry.substr(0, entry.size() - 1));
        return image_matches(image, entry);
    };
    return listing.images_allowed.empty() ||
           std::any_of(listing.images_allowed.begin(), listing.images_allowed.end(), covers);
}

std::optional<ListingPause> pause_of(const Listing& listing, bool has_offered_card) {
    if (listing.state == ListingState::paused) return ListingPause::seller;
    const bool has_none = listing.state == ListingState::open && !has_offered_card;
    return has_none ? std::optional(ListingPause::cards) : std::nullopt;
}

std::optional<ListingPause> pause_of(const State& state, const Listing& listing) {
    return pause_of(listing, std::ranges::any_of(listing.cards, [&](CardId card) {
                        return state.at<Card>(card).state == CardState::present;
                    }));
}

ListingView view_of(const State& state, const Listing& listing) {
    const Host& host = state.at<Host>(listing.host);
    ListingView view;
    view.listing = listing;
    view.country = host.country;
    view.runtime = host.runtime;
    view.cards_total = static_cast<std::int32_t>(listing.cards.size());
    view.cards_free = state.free_cards(listing.id);
    view.paused_by = pause_of(state, listing);
    for (const CardId id : listing.cards) {
        const Card& card = state.at<Card>(id);
        view.thousandths_free += card.free_thousandths();
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
    Listing listing = listing_of(tx, **host, command);
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
    change_terms(listing, command.terms);
    if (const auto fine = check_terms(listing); !fine) return fine.error();
    if (const auto fine = check_commitment((*found)->committed_until, listing, tx.now()); !fine)
        return fine.error();

    tx.update(std::move(listing), "listing.changed");
    match_standing_orders(tx);
    return Outcome(view_of(tx.state(), tx.state().at<Listing>(command.listing)));
}

Result<Outcome> handle(Transaction& tx, const ChangeListings& command) {
    const auto found = found_by(tx.state(), tx.context().caller.organization, command.filter);
    if (!found) return found.error();
    if (const auto fine = check_found(command.filter, *found); !fine) return fine.error();
    std::vector<Listing> changed;
    for (const ListingId id : *found) {
        const std::optional<Time> committed = tx.state().at<Listing>(id).committed_until;
        Listing& listing = changed.emplace_back(tx.state().at<Listing>(id));
        change_terms(listing, command.terms);
        Status fine = check_terms(listing);
        if (fine) fine = check_commitment(committed, listing, tx.now());
        if (!fine)
            return refuse(fine.error().code, fmt::format("{}: {}", id.text(), fine.error().detail),
                          "/change" + fine.error().pointer);
    }

    if (!command.dry_run) {
        for (const Listing& listing : changed)
            tx.update(listing, "listing.changed");
        match_standing_orders(tx);
    }
    ListingsChanged outcome{{}, command.dry_run};
    for (const Listing& listing : changed)
        outcome.listings.push_back(
            view_of(tx.state(), command.dry_run ? listing : tx.state().at<Listing>(listing.id)));
    return Outcome(std::move(outcome));
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
