#include "fallow/quote_verify.hpp"

#include <algorithm>
#include <initializer_list>

#include "fallow/digest.hpp"
#include "fallow/errors.hpp"
#include "fallow/json.hpp"
#include "fallow/types.hpp"
#include "signed_text.hpp"

namespace fallow::sdk {
namespace {

__extension__ typedef __int128 Int128;

/// A thousandth of a micro per hour for a millisecond, per micro.
constexpr Int128 nanos_per_micro = 3'600'000'000;
constexpr Int128 hours_per_month = 730;

/// A product of factors from 0 on may not fit: then there is no such amount.
std::optional<Int128> product(std::initializer_list<Int128> factors) {
    Int128 result = 1;
    for (const Int128 factor : factors)
        if (__builtin_mul_overflow(result, factor, &result)) return std::nullopt;
    return result;
}

/// Adds a part, rounded up.
bool add_ceiling(Int128& sum, std::optional<Int128> numerator, Int128 divisor) {
    return numerator && !__builtin_add_overflow(sum, (*numerator + divisor - 1) / divisor, &sum);
}

bool is_part(std::int64_t part, std::int64_t whole, std::int64_t ppm) {
    return part == static_cast<Int128>(whole) * ppm / 1'000'000;
}

/// The terms of a reservation; nobody owes itself a penalty.
bool terms_follow(const QuoteFacts& facts) {
    if (!facts.starts_at) return true;
    return is_part(facts.cancel_kept_micros, facts.deposit_micros, facts.cancel_kept_ppm) &&
           (facts.renter == facts.hosts.front().seller ||
            is_part(facts.penalty_micros, facts.cards_micros, facts.penalty_ppm));
}

bool parts_follow(const QuoteFacts& facts) {
    Int128 cards = 0;
    Int128 storage = 0;
    Int128 traffic = 0;
    for (const QuoteHostFacts& host : facts.hosts) {
        const auto month = product({host.storage_micros_per_gib_month, facts.stored_gib, 1000});
        const bool fits =
            month &&
            add_ceiling(storage, product({*month / hours_per_month, facts.term_ms}), nanos_per_micro) &&
            add_ceiling(
                cards, product({host.price_micros_per_hour, facts.count, facts.thousandths, facts.term_ms}),
                nanos_per_micro) &&
            add_ceiling(traffic, product({host.egress_micros_per_gib, facts.moved_gib}), 1);
        if (!fits) return false;
    }
    return terms_follow(facts) && cards == facts.cards_micros && storage == facts.storage_micros &&
           traffic == facts.traffic_micros;
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

/// "LISTING SELLER PRICE STORAGE EGRESS", one space between.
QuoteHostFacts read_host(SignedTextReader& reader) {
    const std::string line = reader.value("host");
    std::vector<std::string_view> words;
    for (std::string_view rest = line; !rest.empty();) {
        const std::size_t space = std::min(rest.find(' '), rest.size());
        words.push_back(rest.substr(0, space));
        rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    constexpr std::size_t word_count = 5;
    words.resize(line.ends_with(' ') || words.size() > word_count ? 0 : words.size());
    words.resize(word_count);
    const auto price = parse_natural(words[2]);
    const auto storage = parse_natural(words[3]);
    const auto egress = parse_natural(words[4]);
    if (words[0].empty() || words[1].empty() || !price || !storage || !egress) reader.fail();
    return {std::string(words[0]), std::string(words[1]), price.value_or(0), storage.value_or(0),
            egress.value_or(0)};
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
    SignedTextReader reader(text, "fallow-quote-v2");
    QuoteFacts facts;
    facts.server_key = reader.value("server_key");
    facts.quote = reader.value("quote");
    facts.renter = reader.value("renter");
    facts.count = reader.number("count");
    facts.thousandths = reader.number("thousandths");
    facts.term_ms = reader.number("term_ms");
    facts.fee_ppm = reader.number("fee_ppm");
    facts.stored_gib = reader.number("stored_gib");
    facts.moved_gib = reader.number("moved_gib");
    while (reader.next_is("host"))
        facts.hosts.push_back(read_host(reader));
    if (facts.hosts.empty()) reader.fail();
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
    if (!facts) return without_form("the text is not a fallow-quote-v2");

    constexpr std::size_t key_bytes = 32;
    auto pinned = base64_decode(pinned_server_key);
    if (pinned && pinned->size() != key_bytes) pinned.reset();
    const auto signature = base64_decode(document.server_signature);
    QuoteReport report;
    report.facts = facts;
    report.checks = {
        {"form", true, "the text is a fallow-quote-v2"},
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
