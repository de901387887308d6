#include "api/quote_document.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "api/orders_decode.hpp"
#include "auth/base64.hpp"

using namespace fallow;
using namespace fallow::api;
using nlohmann::json;

namespace {

ledger::QuoteFacts facts() {
    ledger::QuoteFacts facts;
    facts.quote = QuoteId(RawId{1, 1});
    facts.renter = OrganizationId(RawId{1, 2});
    facts.count = 2;
    facts.term = hours(3);
    facts.fee_ppm = 50'000;
    facts.stored_gib = 100;
    facts.moved_gib = 4;
    facts.hosts = {{ListingId(RawId{1, 4}), OrganizationId(RawId{1, 3}), ledger::Price(2'100'000),
                    ledger::Micros(70'000), ledger::Micros(9'000)}};
    facts.quoted_at = Time(1'767'323'045'678);
    facts.expires_at = Time(1'767'323'345'678);
    return facts;
}

json order_with(const json& quote) {
    return {{"term_ms", 3'600'000}, {"quote", quote}};
}

}  // namespace

TEST_CASE("A quote that comes back is what was given") {
    const auth::SigningKey key = auth::SigningKey::generate();
    const json document = json::parse(quote_document(facts(), key));
    CHECK(document["total_micros"] == 12'600'000 + 28'768 + 36'000);
    const auto opened = open_quote(document["quote"].get<std::string>(),
                                   document["server_signature"].get<std::string>(), key);
    REQUIRE(opened.ok());
    ledger::QuoteFacts given = facts();
    given.server_key = auth::base64_encode(key.public_key());
    CHECK(ledger::quote_text(*opened) == ledger::quote_text(given));
    CHECK(opened->expires_at == given.expires_at);
    CHECK(document["hosts"].size() == 1);
    CHECK(document["all_in_micros_per_hour"] == 4'200'000 + 9'590);
}

TEST_CASE("A quote for several hosts, or for a share, comes back as it was") {
    const auth::SigningKey key = auth::SigningKey::generate();
    ledger::QuoteFacts gang = facts();
    for (std::uint64_t i = 5; i < 20; ++i)
        gang.hosts.push_back({ListingId(RawId{1, i}), OrganizationId(RawId{2, i}), ledger::Price(1),
                              ledger::Micros(2), ledger::Micros(3)});
    ledger::QuoteFacts share = facts();
    share.count = 1;
    share.thousandths = 125;
    for (const ledger::QuoteFacts& given : {gang, share}) {
        const json document = json::parse(quote_document(given, key));
        const auto text = document["quote"].get<std::string>();
        CHECK(text.size() <= limits::quote_bytes_max);
        const auto opened = open_quote(text, document["server_signature"].get<std::string>(), key);
        REQUIRE(opened.ok());
        CHECK(opened->hosts.size() == given.hosts.size());
        CHECK(opened->hosts.back().listing == given.hosts.back().listing);
        CHECK(opened->thousandths == given.thousandths);
        CHECK(document["price_micros_per_hour"] == 2'100'000);
    }
}

TEST_CASE("A quote is good only as this server signed it") {
    const auth::SigningKey key = auth::SigningKey::generate();
    const json document = json::parse(quote_document(facts(), key));
    const auto text = document["quote"].get<std::string>();
    const auto signature = document["server_signature"].get<std::string>();
    const auto code = [&](const std::string& changed, const std::string& by) {
        const auto opened = open_quote(changed, by, key);
        return opened.ok() ? "ok" : std::string(name_of(opened.error().code));
    };
    CHECK(code(text, signature) == "ok");
    CHECK(code(text + "\n", signature) == "signature_invalid");
    CHECK(code(text.substr(1), signature) == "signature_invalid");
    CHECK(code(text, "no base64") == "signature_invalid");
    for (std::size_t at = 0; at < text.size(); at += 7) {
        std::string changed = text;
        changed[at] = changed[at] == '0' ? '1' : '0';
        if (changed != text) CHECK(code(changed, signature) == "signature_invalid");
    }
    const auto by_key = [&](const std::string& other) {
        return code(other, auth::base64_encode(key.sign(other)));
    };
    CHECK(by_key("fallow-receipt-v1\n") == "signature_invalid");
    CHECK(by_key("fallow-quote-v2\n") == "signature_invalid");
    CHECK(by_key(text + "more: 1\n") == "signature_invalid");
    CHECK(auth::SigningKey::generate().public_key() != key.public_key());
    CHECK_FALSE(open_quote(text, signature, auth::SigningKey::generate()).ok());
}

TEST_CASE("An order brings a quote in the place of its price limit") {
    const auth::SigningKey key = auth::SigningKey::generate();
    const json document = json::parse(quote_document(facts(), key));
    const json quote = {{"quote", document["quote"]}, {"server_signature", document["server_signature"]}};
    const auto read = decode_order(order_with(quote).dump(), key);
    REQUIRE(read.ok());
    REQUIRE(read->command.quote.has_value());
    CHECK(read->command.quote->quote == facts().quote);

    struct Row {
        json body;
        ErrorCode code;
        std::string pointer;
    };
    json both = order_with(quote);
    both["price_max_micros_per_hour"] = 1;
    json forged = quote;
    forged["quote"] = document["quote"].get<std::string>() + "more: 1\n";
    json whole = order_with(document);
    const std::vector<Row> rows{
        {both, ErrorCode::invalid_field, "/price_max_micros_per_hour"},
        {order_with(forged), ErrorCode::signature_invalid, "/quote"},
        {order_with(nullptr), ErrorCode::missing_field, "/price_max_micros_per_hour"},
        {order_with({{"quote", document["quote"]}}), ErrorCode::missing_field, "/quote/server_signature"},
        {order_with("text"), ErrorCode::invalid_field, "/quote"},
        {order_with({{"quote", std::string(9000, 'x')}, {"server_signature", quote["server_signature"]}}),
         ErrorCode::invalid_field, "/quote/quote"},
    };
    for (const Row& row : rows) {
        INFO(row.body.dump());
        const auto refused = decode_order(row.body.dump(), key);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == row.code);
        CHECK(refused.error().pointer == row.pointer);
    }
}

TEST_CASE("A quote is asked for like an order") {
    const auto read = decode_quote_request(
        R"({"term_ms":3600000,"count":3,"stored_gib":5,"moved_gib":6,"requirements":{"products":["H100"]}})");
    REQUIRE(read.ok());
    CHECK(read->count == 3);
    CHECK(read->stored_gib == 5);
    CHECK(read->moved_gib == 6);
    CHECK(read->thousandths == 1000);
    CHECK(read->hosts == 1);
    CHECK(decode_quote_request(R"({"term_ms":3600000,"hosts":2})")->hosts == 2);
    CHECK(decode_quote_request(R"({"term_ms":3600000,"thousandths":250})")->thousandths == 250);
    CHECK(decode_quote_request(R"({"term_ms":3600000,"thousandths":250,"count":2})").error().pointer ==
          "/thousandths");
    CHECK(read->price_max == ledger::Price(limits::price_micros_per_hour_max));
    CHECK(read->requirements.products == std::vector<std::string>{"H100"});
    CHECK(decode_quote_request("{}").error().pointer == "/term_ms");
    CHECK(decode_quote_request(R"({"term_ms":3600000,"stored_gib":-1})").error().pointer == "/stored_gib");
}
