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
    order.thousandths = command.thousandths;
    order.hosts = command.hosts;
    order.price_max = command.price_max;
    order.storage_price_max = command.storage_price_max;
    order.egress_gib = command.moved_gib;
    order.egress_price_max = command.egress_price_max;
    order.storage_bytes = command.stored_gib * ledger::bytes_per_gib;
    order.term = command.term;
    order.end_use = command.end_use;
    order.fill_or_kill = true;
    order.placed_at = tx.now();
    return order;
}

ledger::QuoteFacts facts_of(const State& state, const Order& order,
                            const std::vector<ListingId>& listings) {
    ledger::QuoteFacts quote;
    quote.renter = order.organization;
    quote.count = order.count;
    quote.thousandths = order.thousandths;
    quote.term = order.term;
    quote.fee_ppm = state.settings().fee_ppm;
    for (const ListingId id : listings) {
        const Listing& listing = state.at<Listing>(id);
        quote.hosts.push_back(
            {id, listing.organization, listing.ask, listing.storage_price, listing.egress_price});
    }
    quote.quoted_at = order.placed_at;
    quote.expires_at = order.placed_at + state.rules().quote_validity;
    return quote;
}

}  // namespace

Status check_shape(const Order& order) {
    if (order.is_for_share() && order.count > 1)
        return refuse(ErrorCode::invalid_field,
                      "A part of a card is of one card: ask for one, or for whole ones.", "/thousandths");
    if (order.is_gang() && order.is_for_share())
        return refuse(ErrorCode::invalid_field, "An order over several hosts is for whole cards.",
                      "/thousandths");
    if (order.is_gang() && (order.requirements.host || order.requirements.listing))
        return refuse(ErrorCode::invalid_field, "An order over several hosts cannot be for a single one.",
                      "/hosts");
    return Done{};
}

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
    if (order.thousandths > quote.thousandths)
        return wrong(fmt::format("The quote is for {} thousandths of a card at most.", quote.thousandths),
                     "/thousandths");
    if (order.hosts > std::ssize(quote.hosts))
        return wrong(fmt::format("The quote is for {} hosts at most.", quote.hosts.size()), "/hosts");
    if (order.term > quote.term)
        return wrong(fmt::format("The quote is for {} ms at most.", quote.term.count), "/term_ms");
    if (order.egress_gib > quote.moved_gib)
        return wrong(
            fmt::format("The quote covers {} GiB sent from each host: ask for a quote with more, or "
                        "allow an overage.",
                        quote.moved_gib),
            "/egress_gib");
    return Done{};
}

void put_under(Order& order, const ledger::QuoteFacts& quote) {
    order.quote = quote.quote;
    order.quoted_fee_ppm = quote.fee_ppm;
    order.price_max = ledger::Price(0);
    order.storage_price_max = ledger::Micros(0);
    ledger::Micros egress_price(0);
    for (const ledger::QuotedHost& host : quote.hosts) {
        order.price_max = std::max(order.price_max, host.price);
        order.storage_price_max = std::max(*order.storage_price_max, host.storage_price);
        egress_price = std::max(egress_price, host.egress_price);
    }
    // Who may send nothing needs no bound, unless sending was to cost nothing.
    if (order.egress_gib > 0 || egress_price.count == 0) order.egress_price_max = egress_price;
    // Storage that costs nothing needs no bound.
    if (order.storage_price_max->count > 0) order.stored_gib_max = quote.stored_gib;
    order.fill_or_kill = true;
}

bool is_price_held(const Order& order) {
    return order.quote && order.fill_or_kill;
}

ledger::Price price_of(const Order& order, const Listing& listing) {
    return std::min(listing.ask, order.price_max);
}

ledger::Price price_of(const Order& order, const Member& member, const Listing& listing) {
    return member.quoted ? std::min(listing.ask, member.quoted->price) : price_of(order, listing);
}

ledger::Micros storage_price_of(const Order& order, const Listing& listing) {
    return std::min(listing.storage_price, order.storage_price_max.value_or(listing.storage_price));
}

ledger::Micros storage_price_of(const Order& order, const Member& member, const Listing& listing) {
    return member.quoted ? std::min(listing.storage_price, member.quoted->storage_price)
                         : storage_price_of(order, listing);
}

Status check_storage(const Order& order, std::int64_t storage_bytes, std::string pointer) {
    if (!order.stored_gib_max || storage_bytes <= *order.stored_gib_max * ledger::bytes_per_gib)
        return Done{};
    return refuse(ErrorCode::invalid_field,
                  fmt::format("The quote covers {} GiB of working storage on a host and the job reserves "
                              "{} bytes: ask for a quote with more, or reserve less.",
                              *order.stored_gib_max, storage_bytes),
                  std::move(pointer));
}

std::optional<Match> match_quoted(const State& state, const Order& order, const ledger::QuoteFacts& quote,
                                  Time now, const std::string* image) {
    const Claims claims = claims_before(state, order, now);
    Match match;
    for (const ledger::QuotedHost& host : quote.hosts) {
        if (std::ssize(match.members) == order.hosts) break;
        const Listing* listing = state.find<Listing>(host.listing);
        auto member =
            listing == nullptr ? std::nullopt : fit(state, *listing, order, now, image, &claims).member;
        if (!member) continue;
        member->chosen_by = ChosenBy::named;
        member->quoted = host;
        match.members.push_back(*std::move(member));
    }
    return std::ssize(match.members) == order.hosts ? std::optional(std::move(match)) : std::nullopt;
}

void limit_to_quote(const State& state, Order& order) {
    if (!order.quote || !order.is_gang()) return;
    ledger::Price prices(0);
    ledger::Micros storage(0);
    ledger::Micros egress(0);
    for (const auto& [rank, id] : state.leases_of(order.id)) {
        const Lease& lease = state.at<Lease>(id);
        prices = ledger::Price(prices.micros_per_hour + lease.price.micros_per_hour);
        storage = storage + lease.storage_price;
        egress = egress + lease.egress_price;
    }
    order.price_max = ledger::Price(prices.micros_per_hour / order.hosts);
    order.storage_price_max = ledger::Micros(storage.count / order.hosts);
    if (order.egress_price_max) order.egress_price_max = ledger::Micros(egress.count / order.hosts);
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

/// The listings that would serve the order, now or from `starts_at` on; none when nothing would.
std::vector<ListingId> listings_for(const State& state, const Order& order, std::optional<Time> starts_at,
                                    Time now) {
    std::vector<ListingId> listings;
    if (starts_at) {
        const auto block = find_block(state, order, *starts_at, now, std::nullopt);
        if (block) listings.push_back(block->listing);
        return listings;
    }
    const auto match = find_match(state, order, now);
    if (!match) return listings;
    for (const Member& member : match->members)
        listings.push_back(member.listing);
    return listings;
}

Status check_wanted(const Transaction& tx, const Order& order, std::optional<Time> starts_at) {
    if (const auto open = check_may_trade(tx.state(), order.organization); !open) return open;
    if (const auto fine = check_shape(order); !fine) return fine;
    if (!starts_at) return Done{};
    if (*starts_at <= tx.now())
        return refuse(ErrorCode::invalid_field, "A reservation starts in the future; leave it out for now.",
                      "/starts_at");
    if (order.is_gang() || order.is_for_share())
        return refuse(ErrorCode::invalid_field, "A reservation is for whole cards on one host.",
                      order.is_gang() ? "/hosts" : "/thousandths");
    return Done{};
}

}  // namespace

Result<Outcome> handle(Transaction& tx, const MakeQuote& command) {
    const State& state = tx.state();
    const Order order = order_for(tx, command);
    if (const auto fine = check_wanted(tx, order, command.starts_at); !fine) return fine.error();
    const auto listings = listings_for(state, order, command.starts_at, tx.now());
    if (listings.empty())
        return refuse(ErrorCode::no_match,
                      command.starts_at
                          ? "No committed listing has such a block free: choose another time, relax a "
                            "requirement, or raise the price limit."
                          : "No open listing fits now: relax a requirement, or raise the price limit.");

    ledger::QuoteFacts quote = facts_of(state, order, listings);
    quote.quote = tx.make_id<QuoteId>();
    quote.stored_gib = command.stored_gib;
    quote.moved_gib = command.moved_gib;
    if (command.starts_at)
        quote.block = terms_of(state, order, state.at<Listing>(listings.front()), *command.starts_at);
    return Outcome(std::move(quote));
}

}  // namespace fallow::market
