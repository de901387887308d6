// A quote: the all-in price of an order, as the exact bytes that are signed. What it names is a cap: cards
// and storage bill by proved time, traffic by what was sent.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "ledger/metering.hpp"

namespace fallow::ledger {

/// What a quote of a future block says besides.
struct BlockTerms {
    Time starts_at;
    Micros deposit;          ///< held until the start
    Time cancel_free_until;  ///< later, `cancel_kept` of the deposit is not given back
    Micros cancel_kept;
    Micros penalty;  ///< what the seller pays for not delivering any of it
    std::int32_t cancel_kept_ppm = 0;
    std::int32_t penalty_ppm = 0;
};

/// What one host of the order would come from, and its prices.
struct QuotedHost {
    ListingId listing;
    OrganizationId seller;
    Price price;           ///< of a card for an hour
    Micros storage_price;  ///< of a GiB for a month
    Micros egress_price;   ///< of a GiB
};

/// What a quote promises: who may order what from which listings, for which prices, until when.
struct QuoteFacts {
    std::string server_key;  ///< base64 of the Ed25519 public key that signs
    QuoteId quote;
    OrganizationId renter;
    std::int32_t count = 0;                                   ///< cards on each host
    std::int32_t thousandths = limits::thousandths_per_card;  ///< of each card
    Millis term;
    std::int32_t fee_ppm = 0;         ///< the operator's part, which is in the prices
    std::int64_t stored_gib = 0;      ///< on each host, for the whole term
    std::int64_t moved_gib = 0;       ///< sent from each host
    std::vector<QuotedHost> hosts;    ///< different ones; never empty
    std::optional<BlockTerms> block;  ///< for a reservation; nothing for an order
    Time quoted_at;
    Time expires_at;
};

/// What the parts of a quote come to at most, each rounded up to the micro.
struct QuoteCost {
    Micros cards;
    Micros storage;
    Micros traffic;
    Micros total;
    Micros fee;     ///< the operator's part of the total, which it contains
    Micros hourly;  ///< of cards and storage together
};
[[nodiscard]] QuoteCost cost_of(const QuoteFacts& facts);

/// Lines "name: value", '\n' after each, in a fixed order; the first line is "fallow-quote-v2".
[[nodiscard]] std::string quote_text(const QuoteFacts& facts);

}  // namespace fallow::ledger
