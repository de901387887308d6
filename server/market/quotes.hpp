// Quotes: what an order would cost, stated before it is placed. A quote holds no card and no money: it is a
// price that the market keeps for a short time, whatever the listing asks meanwhile. It has no row: whoever
// was given its signed text brings that along.
#pragma once

#include <optional>

#include "base/result.hpp"
#include "market/commands.hpp"
#include "market/matching.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// invalid_field where shares, several cards and several hosts do not go together.
[[nodiscard]] Status check_shape(const Order& order);

/// Whether `order`, just being placed, may be placed with the quote that came with it; of a reservation,
/// `starts_at` is the block's start. Errors: quote_expired, and invalid_field for one that was given to
/// somebody else or for less.
[[nodiscard]] Status check_quote(const Order& order, const ledger::QuoteFacts& quote,
                                 std::optional<Time> starts_at, Time now);

/// Places the order under the quote: its price is the limit and its fee the lease's. It is fill-or-kill, so
/// that nothing stands for longer than the price holds.
void put_under(Order& order, const ledger::QuoteFacts& quote);

/// Whether a quote holds the order's price against a higher ask. The order that a lost job is requeued with
/// is not fill-or-kill any more: for it, the quoted price is a limit like any other.
[[nodiscard]] bool is_price_held(const Order& order);

/// What the order pays for a card of the listing and hour: the ask, but never more than its limit.
[[nodiscard]] ledger::Price price_of(const Order& order, const Listing& listing);
/// The same of one of its hosts: what was quoted for it holds.
[[nodiscard]] ledger::Price price_of(const Order& order, const Member& member, const Listing& listing);
/// What it pays for a GiB of working storage and month: the listing's price, but never more than its limit.
[[nodiscard]] ledger::Micros storage_price_of(const Order& order, const Listing& listing);
[[nodiscard]] ledger::Micros storage_price_of(const Order& order, const Member& member,
                                              const Listing& listing);
/// The operator's part of it.
[[nodiscard]] std::int32_t fee_of(const Order& order, const Settings& settings);

/// invalid_field when a job needs more working storage on a host than its order's quote covers.
[[nodiscard]] Status check_storage(const Order& order, std::int64_t storage_bytes, std::string pointer);

/// What serves an order that was just placed with a quote: of its listings, as many as it has hosts, in
/// their order. Nothing but these.
[[nodiscard]] std::optional<Match> match_quoted(const State& state, const Order& order,
                                                const ledger::QuoteFacts& quote, Time now,
                                                const std::string* image);

/// The limits of the order that a lost job is requeued with: no more than what was paid for its hosts
/// before, on the mean.
void limit_to_quote(const State& state, Order& order);

/// How long the next attempt may run after one that ran for `ran`: all attempts together stay within a
/// quote. Nothing when too little is left.
[[nodiscard]] std::optional<Millis> term_left(const Order& order, Millis ran);

}  // namespace fallow::market
