#include "fallow/quote_verify.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "unit/sdk/receipt_fixture.hpp"

namespace fallow::sdk {
namespace {

using testing::replaced;
using testing::SigningKey;

std::string quote_of(const SigningKey& key) {
    return "fallow-quote-v1\nserver_key: " + key.public_base64() +
           "\nquote: quote_1\nrenter: org_r\nseller: org_s\nlisting: listing_1\ncount: 2\nterm_ms: "
           "5400000\n"
           "price_micros_per_hour: 1000001\nfee_ppm: 100000\nstored_gib: 100\n"
           "storage_micros_per_gib_month: 70000\nmoved_gib: 10\negress_micros_per_gib: 20000\n"
           "cards_micros: 3000003\nstorage_micros: 14584\ntraffic_micros: 200000\ntotal_micros: 3214587\n"
           "fee_micros: 321458\nquoted_at: 2026-01-02T03:04:05.678Z\nexpires_at: "
           "2026-01-02T03:09:05.678Z\n";
}

std::string document(const std::string& text, const SigningKey& key) {
    return nlohmann::json({{"quote", text}, {"server_signature", key.sign_base64(text)}, {"id", "quote_1"}})
        .dump();
}

std::string failed(const QuoteReport& report) {
    std::string names;
    for (const ReceiptCheck& check : report.checks)
        if (!check.passed) names += (names.empty() ? "" : " ") + check.name;
    return names;
}

}  // namespace

TEST_CASE("a genuine quote passes every check") {
    const SigningKey key;
    const QuoteReport report = verify_quote(document(quote_of(key), key), key.public_base64());
    CHECK(failed(report).empty());
    CHECK(report.passed());
    CHECK(report.checks.size() == 6);
    CHECK(report.facts->total_micros == 3'214'587);
    CHECK(report.facts->listing == "listing_1");
}

TEST_CASE("each thing that is wrong with a quote fails its own check") {
    const SigningKey key;
    struct Row {
        std::string from, to, fails;
    };
    const std::string all = "form server_key server_signature parts total period";
    for (const Row& row : std::vector<Row>{
             {"cards_micros: 3000003", "cards_micros: 3000002", "parts total"},
             {"storage_micros: 14584", "storage_micros: 14585", "parts total"},
             {"traffic_micros: 200000", "traffic_micros: 0", "parts total"},
             {"total_micros: 3214587", "total_micros: 3214586", "total"},
             {"fee_micros: 321458", "fee_micros: 321459", "total"},
             {"count: 2", "count: 1", "parts"},
             {"expires_at: 2026-01-02T03:09:05.678Z", "expires_at: 2026-01-02T03:04:05.678Z", "period"},
             {"count: 2", "count: two", all},
             {"count: 2\n", "", all},
             {"fallow-quote-v1", "fallow-receipt-v1", all},
             {"price_micros_per_hour: 1000001", "price_micros_per_hour: 9223372036854775807", "parts"},
         }) {
        INFO(row.to);
        const std::string text = replaced(quote_of(key), row.from, row.to);
        CHECK(failed(verify_quote(document(text, key), key.public_base64())) == row.fails);
    }
}

TEST_CASE("no key but the pinned one is trusted") {
    const SigningKey key;
    const SigningKey other;
    const std::string genuine = document(quote_of(key), key);
    CHECK(failed(verify_quote(genuine, other.public_base64())) == "server_key server_signature");
    CHECK(failed(verify_quote(document(quote_of(key), other), key.public_base64())) == "server_signature");
    CHECK(failed(verify_quote(genuine, "no key")) == "server_key server_signature");
    CHECK_FALSE(verify_quote("{}", key.public_base64()).passed());
    CHECK_FALSE(verify_quote("no json", key.public_base64()).passed());
}

}  // namespace fallow::sdk
