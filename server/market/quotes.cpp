#include "market/quotes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/matching.hpp"
#include "market/reservations.hpp"

namespace fallow::market {
namespace {

/// The order that the quote is about, as it would be placed now.
Order order_for(const Transaction& tx, const MakeQuote& command) {
    Order order;
    order.organization = tx.context().caller.organization;
    order.requirements = command.requirements;
    order.count = command.count;
    order.price_max = command.price_max;
    order.term = command.term;
    order.end_use = command.end_use;
    order.fill_or_kill = true;
    order.placed_at = tx.now();
    return order;
}

ledger::QuoteFacts facts_of(const State& state, const Order& order, const Listing& listing) {
    ledger::QuoteFacts quote;
    quote.renter = order.organization;
    quote.seller = listing.organization;
    quote.listing = listing.id;
    quote.count = order.count;
    quote.term = order.term;
    quote.price = listing.ask;
    quote.fee_ppm = state.settings().fee_ppm;
    quote.storage_price = listing.storage_price;
    quote.egress_price = listing.egress_price;
    quote.quoted_at = order.placed_at;
    quote.expires_at = order.placed_at + state.rules().quote_validity;
    return quote;
}

}  // namespace

Status check_quote(const Order& order, const ledger::QuoteFacts& quote, std::optional<Time> starts_at,
                   Time now) {
    const auto wrong = [](std::string detail, std::string pointer) {
        return refuse(ErrorCode::invalid_field, std::move(detail), std::move(pointer));
    };
    if (quote.renter != order.organization)
        return wrong("The quote was given to another organization: ask for one of your own.", "/quote");
    if (now >= quote.expires_at)
        return refuse(
            ErrorCode::quote_expired,
            fmt::format("The quote was good until {}: ask for a new one.", to_rfc3339(quote.expires_at)),
            "/quote");
    if (order.pricing != OrderPricing::fixed)
        return wrong("A quote is for a fixed price, not for a bid.", "/pricing");
    if (quote.block.has_value() != starts_at.has_value())
        return wrong(quote.block ? "The quote is for a reservation: reserve with it."
                                 : "The quote is for an order, not for a reservation: ask for one that "
                                   "says when it starts.",
                     "/quote");
    if (starts_at && *starts_at != quote.block->starts_at)
        return wrong(
            fmt::format("The quote is for a block that starts at {}.", to_rfc3339(quote.block->starts_at)),
            "/starts_at");
    if (order.count > quote.count)
        return wrong(fmt::format("The quote is for {} cards at most.", quote.count), "/count");
    if (order.term > quote.term)
        return wrong(fmt::format("The quote is for {} ms at most.", quote.term.count), "/term_ms");
    return Done{};
}

void put_under(Order& order, const ledger::QuoteFacts& quote) {
    order.quote = quote.quote;
    order.quoted_fee_ppm = quote.fee_ppm;
    order.price_max = quote.price;
    order.fill_or_kill = true;
}

bool is_price_held(const Order& order) {
    return order.quote && order.fill_or_kill;
}

ledger::Price price_of(const Order& order, const Listing& listing) {
    return std::min(listing.ask, order.price_max);
}

std::int32_t fee_of(const Order& order, const Settings& settings) {
    return is_price_held(order) ? order.quoted_fee_ppm.value_or(settings.fee_ppm) : settings.fee_ppm;
}

std::optional<Millis> term_left(const Order& order, Millis ran) {
    if (!order.quote) return order.term;
    const Millis left = order.term - ran;
    return left.count < limits::term_ms_min ? std::nullopt : std::optional(left);
}

namespace {

/// The listing that would serve the order, now or from `starts_at` on.
const Listing* listing_for(const State& state, const Order& order, std::optional<Time> starts_at,
                           Time now) {
    if (starts_at) {
        const auto block = find_block(state, order, *starts_at, now, std::nullopt);
        return block ? &state.at<Listing>(block->listing) : nullptr;
    }
    const auto match = find_match(state, order, now);
    return match ? &state.at<Listing>(match->members.front().listing) : nullptr;
}

}  // namespace

Result<Outcome> handle(Transaction& tx, const MakeQuote& command) {
    const State& state = tx.state();
    const Order order = order_for(tx, command);
    if (const auto open = check_may_trade(state, order.organization); !open) return open.error();
    if (command.starts_at && *command.starts_at <= tx.now())
        return refuse(ErrorCode::invalid_field, "A reservation starts in the future; leave it out for now.",
                      "/starts_at");
    const Listing* listing = listing_for(state, order, command.starts_at, tx.now());
    if (listing == nullptr)
        return refuse(ErrorCode::no_match,
                      command.starts_at
                          ? "No committed listing has such a block free: choose another time, relax a "
                            "requirement, or raise the price limit."
                          : "No open listing fits now: relax a requirement, or raise the price limit.");

    ledger::QuoteFacts quote = facts_of(state, order, *listing);
    quote.quote = tx.make_id<QuoteId>();
    quote.stored_gib = command.stored_gib;
    quote.moved_gib = command.moved_gib;
    if (command.starts_at) quote.block = terms_of(state, order, *listing, *command.starts_at);
    return Outcome(std::move(quote));
}

}  // namespace fallow::market
