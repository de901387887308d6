// A quote: the all-in price of an order, as the exact bytes that are signed. What it names is a cap: cards
// bill by proved time; storage and traffic bill nothing as long as nobody meters them.
#pragma once

#include <optional>
#include <string>

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

/// What a quote promises: who may order what from which listing, for which price, until when.
struct QuoteFacts {
    std::string server_key;  ///< base64 of the Ed25519 public key that signs
    QuoteId quote;
    OrganizationId renter;
    OrganizationId seller;
    ListingId listing;
    std::int32_t count = 0;
    Millis term;
    Price price;               ///< of a card for an hour
    std::int32_t fee_ppm = 0;  ///< the operator's part, which is in the price
    std::int64_t stored_gib = 0;
    Micros storage_price;  ///< of a GiB for 30 days
    std::int64_t moved_gib = 0;
    Micros egress_price;              ///< of a GiB
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
    Micros fee;  ///< the operator's part of the total, which it contains
};
[[nodiscard]] QuoteCost cost_of(const QuoteFacts& facts);

/// Lines "name: value", '\n' after each, in a fixed order; the first line is "fallow-quote-v1".
[[nodiscard]] std::string quote_text(const QuoteFacts& facts);

}  // namespace fallow::ledger
