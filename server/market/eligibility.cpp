#include "market/eligibility.hpp"

#include <algorithm>
#include <array>

#include "market/bookings.hpp"
#include "market/host_life.hpp"
#include "market/listings.hpp"
#include "market/policy_check.hpp"
#include "market/quotes.hpp"
#include "market/search/query.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

bool contains(const std::vector<std::string>& list, const std::string& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

const Requirements& wanted(const Pairing& pairing) {
    return pairing.order.requirements;
}

bool is_wanted_listing(const Pairing& p) {
    return !wanted(p).listing || *wanted(p).listing == p.listing.id;
}
bool is_wanted_host(const Pairing& p) {
    return !wanted(p).host || *wanted(p).host == p.host.id;
}
bool is_open(const Pairing& p) {
    return p.listing.state == ListingState::open;
}
bool is_reachable(const Pairing& p) {
    return p.host.state == HostState::online && !p.host.unreachable_since;
}
bool is_not_frozen(const Pairing& p) {
    return !p.state.is_frozen(FreezeKind::host, p.host.id.text()) &&
           p.state.at<Organization>(p.listing.organization).status != OrganizationStatus::frozen;
}
bool is_within_price(const Pairing& p) {
    if (is_price_held(p.order)) return true;
    const auto price = entry_price(p.listing, p.order);
    return price && *price <= p.order.price_max;
}
/// The storage of a rental's job is priced by the lease, whatever it will be.
bool is_within_storage_price(const Pairing& p) {
    return is_price_held(p.order) || !p.order.storage_price_max ||
           p.listing.storage_price <= *p.order.storage_price_max;
}
bool is_within_egress_price(const Pairing& p) {
    return is_price_held(p.order) || !p.order.egress_price_max ||
           p.listing.egress_price <= *p.order.egress_price_max;
}
bool is_within_terms(const Pairing& p) {
    return p.listing.term_min <= p.order.term && p.order.term <= p.listing.term_max;
}
/// A query alone has no term: for it the window has to be open.
bool is_within_window(const Pairing& p) {
    const auto closes = closes_at(p.listing, p.now);
    return (!p.listing.available_from || *p.listing.available_from <= p.now) &&
           (!closes || (p.now < *closes && p.now + p.order.term <= *closes));
}
bool is_out_of_maintenance(const Pairing& p) {
    return is_beside_maintenance(p.host, p.order.term, p.now);
}
bool is_an_admitted_renter(const Pairing& p) {
    return admits(p.listing, p.order.organization);
}
bool is_an_admitted_image(const Pairing& p) {
    return p.image == nullptr || admits(p.listing, *p.image);
}
bool is_in_wanted_country(const Pairing& p) {
    return (wanted(p).countries.empty() || contains(wanted(p).countries, p.host.country)) &&
           !contains(wanted(p).countries_excluded, p.host.country);
}
bool is_a_whole_bundle(const Pairing& p) {
    return p.order.count >= p.listing.bundle_min;
}

/// Whether cards of the listing are given in parts, and in parts as small as the order's.
bool is_a_share_it_gives(const Pairing& p) {
    return !p.order.is_for_share() || p.order.thousandths >= p.listing.share_min;
}

/// One that says nothing of it offers none.
bool has_wanted_gang_network(const Pairing& p) {
    return !wanted(p).gang_network || p.host.details.gang_network.value_or(false);
}

bool is_wanted_class(const Pairing& p, const Card& card) {
    return !wanted(p).device_class || *wanted(p).device_class == card.device_class;
}
bool is_wanted_product(const Pairing& p, const Card& card) {
    return wanted(p).products.empty() || contains(wanted(p).products, card.product);
}
bool has_wanted_vram(const Pairing& p, const Card& card) {
    return !wanted(p).vram_bytes_min || (card.vram_bytes && *card.vram_bytes >= *wanted(p).vram_bytes_min);
}
/// A query that a newer or older server cannot read finds nothing.
bool is_found(const Pairing& p, const Card& card) {
    if (!wanted(p).query) return true;
    if (!wanted(p).compiled) return false;
    const search::Facts facts{p.state, p.listing, p.host, p.state.at<Organization>(p.listing.organization),
                              &card};
    return search::matches(*wanted(p).compiled, search::FactsRow(facts));
}
bool is_present(const Pairing&, const Card& card) {
    return card.state == CardState::present;
}
bool has_room(const Pairing& p, const Card& card) {
    const auto promised = p.state.promised_to(card.id);
    return card.used + p.order.thousandths <= limits::thousandths_per_card &&
           (!promised || *promised == p.order.id);
}
/// Shares of one card are kept apart by nothing but time, so that they stay inside one organization.
bool has_no_other_tenant(const Pairing& p, const Card& card) {
    return p.state.tenant_of(card.id).value_or(p.order.organization) == p.order.organization;
}

/// A card that an earlier order waits for is given to one that is done with it by then.
bool is_back_in_time(const Pairing& p, const Card& card) {
    if (p.claims == nullptr) return true;
    const auto claim = p.claims->find(card.id);
    return claim == p.claims->end() || gives_back_by(p.state, p.order, p.now) <= claim->second;
}

bool is_not_needed_for_a_booking(const Pairing& p, const Card& card) {
    return ends_before_bookings(p.state, card.id, p.order.term, p.now);
}

/// So many of the listing's cards in its group pass every other rule.
bool is_in_a_large_group(const Pairing& p, const Card& card);

constexpr std::array all_listing_rules{
    ListingRule{Constraint::listing, is_wanted_listing},
    ListingRule{Constraint::host, is_wanted_host},
    ListingRule{Constraint::listing_state, is_open},
    ListingRule{Constraint::host_state, is_reachable},
    ListingRule{Constraint::frozen, is_not_frozen},
    ListingRule{Constraint::price, is_within_price},
    ListingRule{Constraint::storage_price, is_within_storage_price},
    ListingRule{Constraint::egress_price, is_within_egress_price},
    ListingRule{Constraint::term, is_within_terms},
    ListingRule{Constraint::window, is_within_window},
    ListingRule{Constraint::maintenance, is_out_of_maintenance},
    ListingRule{Constraint::renter, is_an_admitted_renter},
    ListingRule{Constraint::image, is_an_admitted_image},
    ListingRule{Constraint::country, is_in_wanted_country},
    ListingRule{Constraint::bundle, is_a_whole_bundle},
    ListingRule{Constraint::share, is_a_share_it_gives},
    ListingRule{Constraint::gang_network, has_wanted_gang_network},
};
constexpr std::array all_card_rules{
    CardRule{Constraint::device_class, is_wanted_class},
    CardRule{Constraint::product, is_wanted_product},
    CardRule{Constraint::vram, has_wanted_vram},
    CardRule{Constraint::query, is_found},
    CardRule{Constraint::missing, is_present},
    CardRule{Constraint::in_use, has_room},
    CardRule{Constraint::tenant, has_no_other_tenant},
    CardRule{Constraint::booked, is_not_needed_for_a_booking},
    CardRule{Constraint::claimed, is_back_in_time},
    CardRule{Constraint::policy, is_allowed_by_policy},
    CardRule{Constraint::nvlink, is_in_a_large_group},
};

bool is_in_a_large_group(const Pairing& p, const Card& card) {
    if (!p.order.needs_nvlink()) return true;
    if (!card.details.nvlink_group) return false;
    const auto fits = [&](const Card& other) {
        return std::ranges::all_of(all_card_rules, [&](const CardRule& rule) {
            return rule.constraint == Constraint::nvlink || rule.holds(p, other);
        });
    };
    const auto count = std::ranges::count_if(p.listing.cards, [&](const CardId id) {
        const Card* other = p.state.find<Card>(id);
        return other != nullptr && other->details.nvlink_group == card.details.nvlink_group &&
               (id == card.id || fits(*other));
    });
    return count >= p.order.count;
}

}  // namespace

Pairing pair_up(const State& state, const Order& order, const Listing& listing, Time now,
                const std::string* image) {
    if (order.job) image = &state.at<Job>(*order.job).image;
    return {state, order, listing, state.at<Host>(listing.host), image, now};
}

std::span<const ListingRule> listing_rules() {
    return all_listing_rules;
}
std::span<const CardRule> card_rules() {
    return all_card_rules;
}

std::optional<Constraint> refusal(const Pairing& pairing) {
    for (const ListingRule& rule : all_listing_rules)
        if (!rule.holds(pairing)) return rule.constraint;
    return std::nullopt;
}

std::optional<Constraint> refusal(const Pairing& pairing, const Card& card) {
    for (const CardRule& rule : all_card_rules)
        if (!rule.holds(pairing, card)) return rule.constraint;
    return std::nullopt;
}

}  // namespace fallow::market
