#include "api/quote_document.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "api/clock_text.hpp"
#include "api/json_writer.hpp"
#include "auth/base64.hpp"

namespace fallow::api {
namespace {

/// Takes one "name: value" line after the other; after a failure everything is empty.
class Lines {
  public:
    explicit Lines(std::string_view text) : rest_(text) {}

    std::string_view value(std::string_view name) {
        const std::size_t end = rest_.find('\n');
        const std::string_view line = rest_.substr(0, end);
        if (end == std::string_view::npos || !line.starts_with(name) ||
            !line.substr(name.size()).starts_with(": "))
            return fail();
        rest_.remove_prefix(end + 1);
        return line.substr(name.size() + 2);
    }
    template <class Integer>
    void number(std::string_view name, Integer& out) {
        const std::string_view text = value(name);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
        if (error != std::errc() || end != text.data() + text.size()) fail();
    }
    template <class AnyId>
    void id(std::string_view name, AnyId& out) {
        const auto parsed = AnyId::parse(value(name));
        out = parsed.value_or(AnyId{});
        if (!parsed) fail();
    }
    void time(std::string_view name, Time& out) {
        const auto parsed = parse_rfc3339(value(name));
        out = parsed.value_or(Time{});
        if (!parsed) fail();
    }
    std::string_view fail() {
        ok_ = false;
        rest_ = {};
        return {};
    }
    [[nodiscard]] bool next_is(std::string_view name) const { return rest_.starts_with(name); }
    [[nodiscard]] bool ok() const { return ok_; }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

ledger::BlockTerms parse_block(Lines& lines) {
    ledger::BlockTerms block;
    lines.time("starts_at", block.starts_at);
    lines.number("deposit_micros", block.deposit.count);
    lines.time("cancel_free_until", block.cancel_free_until);
    lines.number("cancel_kept_micros", block.cancel_kept.count);
    lines.number("cancel_kept_ppm", block.cancel_kept_ppm);
    lines.number("penalty_micros", block.penalty.count);
    lines.number("penalty_ppm", block.penalty_ppm);
    return block;
}

ledger::QuotedHost parse_host(Lines& lines) {
    std::string_view rest = lines.value("host");
    const auto word = [&] {
        const std::size_t space = std::min(rest.find(' '), rest.size());
        const std::string_view taken = rest.substr(0, space);
        rest.remove_prefix(std::min(space + 1, rest.size()));
        return taken;
    };
    const auto number = [&](std::int64_t& out) {
        const std::string_view text = word();
        if (std::from_chars(text.data(), text.data() + text.size(), out).ec != std::errc()) lines.fail();
    };
    ledger::QuotedHost host;
    const auto listing = ListingId::parse(word());
    const auto seller = OrganizationId::parse(word());
    if (!listing || !seller) lines.fail();
    host.listing = listing.value_or(ListingId{});
    host.seller = seller.value_or(OrganizationId{});
    number(host.price.micros_per_hour);
    number(host.storage_price.count);
    number(host.egress_price.count);
    return host;
}

/// What can be read is what was written: the caller compares the text that the facts make.
std::optional<ledger::QuoteFacts> parse(std::string_view text) {
    constexpr std::string_view form = "fallow-quote-v2\n";
    if (!text.starts_with(form)) return std::nullopt;
    Lines lines(text.substr(form.size()));
    ledger::QuoteFacts facts;
    facts.server_key = lines.value("server_key");
    lines.id("quote", facts.quote);
    lines.id("renter", facts.renter);
    lines.number("count", facts.count);
    lines.number("thousandths", facts.thousandths);
    lines.number("term_ms", facts.term.count);
    lines.number("fee_ppm", facts.fee_ppm);
    lines.number("stored_gib", facts.stored_gib);
    lines.number("moved_gib", facts.moved_gib);
    while (lines.next_is("host: "))
        facts.hosts.push_back(parse_host(lines));
    if (facts.hosts.empty()) lines.fail();
    // The parts and their sum follow from what was read.
    for (const std::string_view name :
         {"cards_micros", "storage_micros", "traffic_micros", "total_micros", "fee_micros"})
        static_cast<void>(lines.value(name));
    if (lines.next_is("starts_at")) facts.block = parse_block(lines);
    lines.time("quoted_at", facts.quoted_at);
    lines.time("expires_at", facts.expires_at);
    return lines.ok() ? std::optional(facts) : std::nullopt;
}

void write_hosts(JsonWriter& json, const std::vector<ledger::QuotedHost>& hosts) {
    json.key("hosts").begin_array();
    for (const ledger::QuotedHost& host : hosts)
        json.begin_object()
            .field("listing_id", host.listing)
            .field("seller_id", host.seller)
            .field("price_micros_per_hour", host.price)
            .field("storage_micros_per_gib_month", host.storage_price)
            .field("egress_micros_per_gib", host.egress_price)
            .end_object();
    json.end_array();
}

ledger::Price dearest(const std::vector<ledger::QuotedHost>& hosts) {
    ledger::Price price(0);
    for (const ledger::QuotedHost& host : hosts)
        price = std::max(price, host.price);
    return price;
}

}  // namespace

std::string quote_document(ledger::QuoteFacts facts, const auth::SigningKey& key) {
    facts.server_key = auth::base64_encode(key.public_key());
    const std::string text = ledger::quote_text(facts);
    const ledger::QuoteCost cost = ledger::cost_of(facts);
    const auto of_block = [&]<class T>(T ledger::BlockTerms::*part) {
        return facts.block ? std::optional(*facts.block.*part) : std::nullopt;
    };
    JsonWriter json(4096);
    json.begin_object()
        .field("quote", text)
        .field("server_signature", auth::base64_encode(key.sign(text)))
        .field("id", facts.quote)
        .field("listing_id", facts.hosts.front().listing)
        .field("seller_id", facts.hosts.front().seller)
        .field("count", facts.count)
        .field("thousandths", facts.thousandths);
    write_hosts(json, facts.hosts);
    json.field("term_ms", facts.term)
        .field("price_micros_per_hour", dearest(facts.hosts))
        .field("all_in_micros_per_hour", cost.hourly)
        .field("fee_ppm", facts.fee_ppm)
        .field("stored_gib", facts.stored_gib)
        .field("moved_gib", facts.moved_gib)
        .field("cards_micros", cost.cards)
        .field("storage_micros", cost.storage)
        .field("traffic_micros", cost.traffic)
        .field("total_micros", cost.total)
        .field("fee_micros", cost.fee)
        .field("starts_at", of_block(&ledger::BlockTerms::starts_at))
        .field("deposit_micros", of_block(&ledger::BlockTerms::deposit))
        .field("cancel_free_until", of_block(&ledger::BlockTerms::cancel_free_until))
        .field("cancel_kept_micros", of_block(&ledger::BlockTerms::cancel_kept))
        .field("penalty_micros", of_block(&ledger::BlockTerms::penalty))
        .field("quoted_at", facts.quoted_at)
        .field("expires_at", facts.expires_at)
        .end_object();
    return json.take();
}

Result<ledger::QuoteFacts> open_quote(std::string_view text, std::string_view signature,
                                      const auth::SigningKey& key) {
    const auto raw = auth::base64_decode(signature);
    if (!raw || !auth::verify(key.public_key(), text, *raw))
        return refuse(
            ErrorCode::signature_invalid,
            "This server has not signed this text: send the quote as it was given, byte for byte.",
            "/quote");
    const auto facts = parse(text);
    if (!facts || ledger::quote_text(*facts) != text)
        return refuse(ErrorCode::signature_invalid, "The signed text is not a fallow-quote-v2.", "/quote");
    return *facts;
}

}  // namespace fallow::api
