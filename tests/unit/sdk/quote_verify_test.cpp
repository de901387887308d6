#include "fallow/quote_verify.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "unit/sdk/receipt_fixture.hpp"

namespace fallow::sdk {
namespace {

using testing::replaced;
using testing::SigningKey;

std::string quote_of(const SigningKey& key) {
    return "fallow-quote-v2\nserver_key: " + key.public_base64() +
           "\nquote: quote_1\nrenter: org_r\ncount: 2\nthousandths: 1000\nterm_ms: 5400000\n"
           "fee_ppm: 100000\nstored_gib: 100\nmoved_gib: 10\nhost: listing_1 org_s 1000001 70000 20000\n"
           "cards_micros: 3000003\nstorage_micros: 14384\ntraffic_micros: 200000\ntotal_micros: 3214387\n"
           "fee_micros: 321438\nquoted_at: 2026-01-02T03:04:05.678Z\nexpires_at: "
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
    CHECK(report.facts->total_micros == 3'214'387);
    CHECK(report.facts->hosts.front().listing == "listing_1");
}

TEST_CASE("each thing that is wrong with a quote fails its own check") {
    const SigningKey key;
    struct Row {
        std::string from, to, fails;
    };
    const std::string all = "form server_key server_signature parts total period";
    for (const Row& row : std::vector<Row>{
             {"cards_micros: 3000003", "cards_micros: 3000002", "parts total"},
             {"storage_micros: 14384", "storage_micros: 14385", "parts total"},
             {"traffic_micros: 200000", "traffic_micros: 0", "parts total"},
             {"total_micros: 3214387", "total_micros: 3214386", "total"},
             {"fee_micros: 321438", "fee_micros: 321439", "total"},
             {"count: 2", "count: 1", "parts"},
             {"expires_at: 2026-01-02T03:09:05.678Z", "expires_at: 2026-01-02T03:04:05.678Z", "period"},
             {"count: 2", "count: two", all},
             {"count: 2\n", "", all},
             {"fallow-quote-v2", "fallow-receipt-v1", all},
             {" 1000001 70000 ", " 9223372036854775807 70000 ", "parts"},
             {"thousandths: 1000", "thousandths: 500", "parts"},
             {" 70000 20000\n", " 70000 20000\nhost: listing_2 org_s 1 0 0\n", "parts"},
             {" 70000 20000\n", " 70000\n", all},
             {" 70000 20000\n", " 70000 20000 1\n", all},
             {"host: listing_1 org_s 1000001 70000 20000\n", "", all},
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
