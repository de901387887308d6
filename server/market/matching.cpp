#include "market/matching.hpp"

#include <algorithm>

#include "market/handlers.hpp"
#include "market/leases.hpp"

namespace fallow::market {
namespace {

bool contains(const std::vector<std::string>& list, const std::string& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

bool card_fits(const Card& card, const Requirements& wanted) {
    return card.is_free() && (wanted.products.empty() || contains(wanted.products, card.product)) &&
           (!wanted.device_class || *wanted.device_class == card.device_class) &&
           (!wanted.vram_bytes_min || (card.vram_bytes && *card.vram_bytes >= *wanted.vram_bytes_min));
}

std::vector<CardId> choose_cards(const State& state, const Listing& listing, const Order& order) {
    std::vector<CardId> chosen;
    for (const auto& [index, id] : state.free_cards_of(listing.id)) {
        if (static_cast<std::int32_t>(chosen.size()) == order.count) break;
        if (card_fits(state.at<Card>(id), order.requirements)) chosen.push_back(id);
    }
    return chosen;
}

std::optional<Constraint> refusal(const State& state, const Listing& listing, const Order& order,
                                  Time now) {
    const Requirements& wanted = order.requirements;
    const Host& host = state.at<Host>(listing.host);
    if (wanted.listing && *wanted.listing != listing.id) return Constraint::listing;
    if (wanted.host && *wanted.host != listing.host) return Constraint::host;
    if (listing.state != ListingState::open) return Constraint::listing_state;
    if (host.state != HostState::online || host.unreachable_since) return Constraint::host_state;
    if (state.is_frozen(FreezeKind::host, host.id.text()) ||
        state.at<Organization>(listing.organization).status == OrganizationStatus::frozen)
        return Constraint::frozen;
    if (listing.ask > order.price_max) return Constraint::price;
    if (order.term < listing.term_min || order.term > listing.term_max) return Constraint::term;
    if (listing.available_from && now < *listing.available_from) return Constraint::window;
    if (listing.available_until && now + order.term > *listing.available_until) return Constraint::window;
    if (!wanted.countries.empty() && !contains(wanted.countries, host.country)) return Constraint::country;
    if (contains(wanted.countries_excluded, host.country)) return Constraint::country;
    if (order.count < listing.bundle_min) return Constraint::bundle;
    return std::nullopt;
}

Lease lease_for(const Transaction& tx, const Order& order, const Listing& listing, const Match& match) {
    const Rules& rules = tx.state().rules();
    Lease lease;
    lease.order = order.id;
    lease.renter = order.organization;
    lease.seller = listing.organization;
    lease.host = listing.host;
    lease.listing = listing.id;
    lease.job = order.job;
    lease.pinned = !order.job;
    lease.price = listing.ask;
    lease.thousandths = static_cast<std::int32_t>(match.cards.size()) * limits::thousandths_per_card;
    lease.fee_ppm = tx.state().settings().fee_ppm;
    lease.term = order.term;
    lease.reclaim_notice = listing.reclaim_notice;
    lease.epoch = tx.context().epoch;
    lease.allocated_at = tx.now();
    lease.phase_deadline = tx.now() + (order.job ? rules.accept_deadline : rules.attach_deadline);
    lease.cards = match.cards;
    lease.held = hold_wanted(rules, lease);
    return lease;
}

void assign_job(Transaction& tx, JobId id, Lease& lease) {
    Job job = tx.state().at<Job>(id);
    job.state = JobState::assigned;
    job.lease = lease.id;
    job.order = lease.order;
    job.attempts += 1;
    lease.attempt = job.attempts;
    tx.update(std::move(job), "job.assigned");
}

}  // namespace

Fit fit(const State& state, const Listing& listing, const Order& order, Time now) {
    if (const auto refused = refusal(state, listing, order, now)) return Fit{std::nullopt, refused};
    Match match{listing.id, choose_cards(state, listing, order)};
    if (static_cast<std::int32_t>(match.cards.size()) < order.count)
        return Fit{std::nullopt, Constraint::cards};
    return Fit{std::move(match), std::nullopt};
}

std::optional<Match> find_match(const State& state, const Order& order, Time now) {
    if (order.requirements.listing) {
        const Listing* listing = state.find<Listing>(*order.requirements.listing);
        return listing == nullptr ? std::nullopt : fit(state, *listing, order, now).match;
    }
    for (const auto& [ask, id] : state.offers()) {
        if (ask > order.price_max) break;
        if (auto found = fit(state, state.at<Listing>(id), order, now).match) return found;
    }
    return std::nullopt;
}

Status check_funds(const State& state, const Order& order, const Listing& listing) {
    Lease lease;
    lease.price = listing.ask;
    lease.thousandths = order.count * limits::thousandths_per_card;
    lease.term = order.term;
    lease.reclaim_notice = listing.reclaim_notice;
    const ledger::Micros wanted = hold_wanted(state.rules(), lease);
    if (wanted.count == 0) return Done{};
    return ledger::check_transfer(state.account(order.organization, ledger::AccountKind::available),
                                  state.account(order.organization, ledger::AccountKind::held), wanted);
}

void fill(Transaction& tx, OrderId id, const Match& match) {
    Order order = tx.state().at<Order>(id);
    Lease lease = lease_for(tx, order, tx.state().at<Listing>(match.listing), match);
    lease.id = tx.make_id<LeaseId>();
    lease.nonce = tx.make_nonce();
    if (order.job) assign_job(tx, *order.job, lease);
    if (lease.held.count > 0)
        tx.transfer(tx.state().account(order.organization, ledger::AccountKind::available),
                    tx.state().account(order.organization, ledger::AccountKind::held), lease.held,
                    ledger::TransferReason::hold, lease.id);
    tx.insert(lease, "lease.allocated");
    for (const CardId card : lease.cards)
        tx.use_card(lease.id, card, limits::thousandths_per_card);
    order.state = OrderState::filled;
    order.lease = lease.id;
    tx.update(std::move(order), "order.filled");
}

void match_standing_orders(Transaction& tx) {
    const State& state = tx.state();
    if (state.offers().empty() || state.is_frozen(FreezeKind::market, state.rules().market)) return;
    const auto may_be_filled = [&](const Order& order) {
        return order.expires_at > tx.now() && check_may_trade(state, order.organization) &&
               (!order.job || check_image(state, state.at<Job>(*order.job).image));
    };
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
        if (!may_be_filled(order)) continue;
        const auto match = find_match(state, order, tx.now());
        if (!match || !check_funds(state, order, state.at<Listing>(match->listing))) continue;
        fill(tx, id, *match);
        ++filled;
    }
}

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

}  // namespace fallow::market
