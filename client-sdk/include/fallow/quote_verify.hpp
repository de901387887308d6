// Offline verification of a quote: the pinned server key must have signed it, and its parts must follow
// from its prices. It says what was promised, to whom and until when; not whether a card is free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fallow/receipt_verify.hpp"

namespace fallow::sdk {

/// A host of the order: the listing that it comes from, and its prices.
struct QuoteHostFacts {
    std::string listing;
    std::string seller;
    std::int64_t price_micros_per_hour = 0;
    std::int64_t storage_micros_per_gib_month = 0;
    std::int64_t egress_micros_per_gib = 0;
};

/// What the quote says. To be believed only if every check passed.
struct QuoteFacts {
    std::string server_key;
    std::string quote;
    std::string renter;
    std::int64_t count = 0;  ///< cards on each host
    std::int64_t thousandths = 1000;
    std::int64_t term_ms = 0;
    std::int64_t fee_ppm = 0;
    std::int64_t stored_gib = 0;
    std::int64_t moved_gib = 0;
    std::vector<QuoteHostFacts> hosts;
    std::int64_t cards_micros = 0;
    std::int64_t storage_micros = 0;
    std::int64_t traffic_micros = 0;
    std::int64_t total_micros = 0;
    std::int64_t fee_micros = 0;
    std::optional<std::string> starts_at;  ///< of a reservation, like the six below
    std::int64_t deposit_micros = 0;
    std::string cancel_free_until;
    std::int64_t cancel_kept_micros = 0;
    std::int64_t cancel_kept_ppm = 0;
    std::int64_t penalty_micros = 0;
    std::int64_t penalty_ppm = 0;
    std::string quoted_at;
    std::string expires_at;
};

struct QuoteReport {
    std::vector<ReceiptCheck> checks;  ///< always all of them, in the same order
    std::optional<QuoteFacts> facts;   ///< nothing when the text has not the form of a quote
    [[nodiscard]] bool passed() const;
};

/// `quote_json` is the document of POST /v1/quotes, `pinned_server_key` the base64 line of the server's
/// server_signing.pub. The checks: form, server_key, server_signature, parts, total, period.
[[nodiscard]] QuoteReport verify_quote(std::string_view quote_json, std::string_view pinned_server_key);

/// The text of a quote, or nothing when a line is missing, twice, out of order or malformed.
[[nodiscard]] std::optional<QuoteFacts> parse_quote_text(std::string_view text);

}  // namespace fallow::sdk
