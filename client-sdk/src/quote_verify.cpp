#include "fallow/quote_verify.hpp"

#include <algorithm>

#include "fallow/digest.hpp"
#include "fallow/errors.hpp"
#include "fallow/json.hpp"
#include "fallow/types.hpp"
#include "signed_text.hpp"

namespace fallow::sdk {
namespace {

__extension__ typedef __int128 Int128;

constexpr Int128 ms_per_hour = 3'600'000;
constexpr Int128 ms_per_month = 24 * 30 * ms_per_hour;

/// A product of up to three factors below 2^63 may not fit: then there is no such amount.
std::optional<Int128> product(std::int64_t a, std::int64_t b, std::int64_t c) {
    Int128 result = static_cast<Int128>(a) * b;
    if (__builtin_mul_overflow(result, static_cast<Int128>(c), &result)) return std::nullopt;
    return result;
}

bool is_ceiling(std::int64_t amount, std::optional<Int128> numerator, Int128 divisor) {
    return numerator && amount == (*numerator + divisor - 1) / divisor;
}

bool is_part(std::int64_t part, std::int64_t whole, std::int64_t ppm) {
    return part == static_cast<Int128>(whole) * ppm / 1'000'000;
}

/// The terms of a reservation; nobody owes itself a penalty.
bool terms_follow(const QuoteFacts& facts) {
    if (!facts.starts_at) return true;
    return is_part(facts.cancel_kept_micros, facts.deposit_micros, facts.cancel_kept_ppm) &&
           (facts.renter == facts.seller ||
            is_part(facts.penalty_micros, facts.cards_micros, facts.penalty_ppm));
}

bool parts_follow(const QuoteFacts& facts) {
    return terms_follow(facts) &&
           is_ceiling(facts.cards_micros, product(facts.price_micros_per_hour, facts.count, facts.term_ms),
                      ms_per_hour) &&
           is_ceiling(facts.storage_micros,
                      product(facts.storage_micros_per_gib_month, facts.stored_gib, facts.term_ms),
                      ms_per_month) &&
           is_ceiling(facts.traffic_micros, product(facts.egress_micros_per_gib, facts.moved_gib, 1), 1);
}

bool total_follows(const QuoteFacts& facts) {
    const Int128 total =
        static_cast<Int128>(facts.cards_micros) + facts.storage_micros + facts.traffic_micros;
    return total == facts.total_micros && is_part(facts.fee_micros, facts.total_micros, facts.fee_ppm);
}

ReceiptCheck check(std::string name, bool passed, std::string good, std::string bad) {
    return {std::move(name), passed, passed ? std::move(good) : std::move(bad)};
}

void read_block(SignedTextReader& reader, QuoteFacts& facts) {
    facts.starts_at = reader.value("starts_at");
    facts.deposit_micros = reader.number("deposit_micros");
    facts.cancel_free_until = reader.value("cancel_free_until");
    facts.cancel_kept_micros = reader.number("cancel_kept_micros");
    facts.cancel_kept_ppm = reader.number("cancel_kept_ppm");
    facts.penalty_micros = reader.number("penalty_micros");
    facts.penalty_ppm = reader.number("penalty_ppm");
    if (!is_moment(*facts.starts_at) || !is_moment(facts.cancel_free_until)) reader.fail();
}

QuoteReport without_form(const std::string& reason) {
    QuoteReport report;
    report.checks.push_back({"form", false, reason});
    for (const char* name : {"server_key", "server_signature", "parts", "total", "period"})
        report.checks.push_back({name, false, "not checked: there is no quote to check"});
    return report;
}

}  // namespace

bool QuoteReport::passed() const {
    return std::all_of(checks.begin(), checks.end(), [](const ReceiptCheck& one) { return one.passed; });
}

std::optional<QuoteFacts> parse_quote_text(std::string_view text) {
    SignedTextReader reader(text, "fallow-quote-v1");
    QuoteFacts facts;
    facts.server_key = reader.value("server_key");
    facts.quote = reader.value("quote");
    facts.renter = reader.value("renter");
    facts.seller = reader.value("seller");
    facts.listing = reader.value("listing");
    facts.count = reader.number("count");
    facts.term_ms = reader.number("term_ms");
    facts.price_micros_per_hour = reader.number("price_micros_per_hour");
    facts.fee_ppm = reader.number("fee_ppm");
    facts.stored_gib = reader.number("stored_gib");
    facts.storage_micros_per_gib_month = reader.number("storage_micros_per_gib_month");
    facts.moved_gib = reader.number("moved_gib");
    facts.egress_micros_per_gib = reader.number("egress_micros_per_gib");
    facts.cards_micros = reader.number("cards_micros");
    facts.storage_micros = reader.number("storage_micros");
    facts.traffic_micros = reader.number("traffic_micros");
    facts.total_micros = reader.number("total_micros");
    facts.fee_micros = reader.number("fee_micros");
    if (reader.next_is("starts_at")) read_block(reader, facts);
    facts.quoted_at = reader.value("quoted_at");
    facts.expires_at = reader.value("expires_at");
    if (!reader.finished() || !is_moment(facts.quoted_at) || !is_moment(facts.expires_at))
        return std::nullopt;
    return facts;
}

QuoteReport verify_quote(std::string_view quote_json, std::string_view pinned_server_key) {
    SignedQuote document;
    try {
        document = from_json<SignedQuote>(quote_json);
    } catch (const ProtocolError& error) {
        return without_form(error.what());
    }
    const auto facts = parse_quote_text(document.quote);
    if (!facts) return without_form("the text is not a fallow-quote-v1");

    constexpr std::size_t key_bytes = 32;
    auto pinned = base64_decode(pinned_server_key);
    if (pinned && pinned->size() != key_bytes) pinned.reset();
    const auto signature = base64_decode(document.server_signature);
    QuoteReport report;
    report.facts = facts;
    report.checks = {
        {"form", true, "the text is a fallow-quote-v1"},
        check("server_key", pinned && base64_decode(facts->server_key) == pinned,
              "the quote names the pinned server key",
              "the quote names another server key than the pinned one"),
        check("server_signature",
              pinned && signature && ed25519_verify(*pinned, document.quote, *signature),
              "the pinned server key signed the quote", "the pinned server key has not signed this text"),
        check("parts", parts_follow(*facts), "cards, storage and traffic follow from their prices",
              "a part does not follow from its price"),
        check("total", total_follows(*facts), "the total is the sum of its parts, and contains the fee",
              "the total is not the sum of its parts, or the fee not its part"),
        check("period", facts->quoted_at < facts->expires_at, "it expires after it was made",
              "it expires before it was made"),
    };
    return report;
}

}  // namespace fallow::sdk
