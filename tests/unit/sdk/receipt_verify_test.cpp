#include "fallow/receipt_verify.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "fallow/digest.hpp"
#include "unit/sdk/receipt_fixture.hpp"

namespace fallow::sdk {
namespace {

using nlohmann::json;
using testing::receipt_json;
using testing::ReceiptTexts;
using testing::replaced;
using testing::server_receipt_json;
using testing::SigningKey;

struct World {
    SigningKey server;
    SigningKey host;
    SigningKey stranger;
    ReceiptTexts texts{server.public_base64(), host.public_base64()};

    ReceiptReport verify(const std::string& document) const {
        return verify_receipt(document, server.public_base64());
    }
};

/// The names of the checks that failed, in their order.
std::string failed_checks(const ReceiptReport& report) {
    std::string names;
    for (const ReceiptCheck& check : report.checks)
        if (!check.passed) names += (names.empty() ? "" : " ") + check.name;
    return names;
}

TEST_CASE("a genuine receipt passes every check") {
    const World world;
    const ReceiptReport report = world.verify(receipt_json(world.texts, world.server, world.host));
    CHECK(failed_checks(report).empty());
    CHECK(report.passed());
    CHECK(report.checks.size() == 14);
    REQUIRE(report.facts);
    CHECK(report.facts->charged_micros == 6'250'002);
    CHECK(report.facts->segments.size() == 2);
    CHECK(report.facts->host_signed);
}

TEST_CASE("a receipt of a lost host passes on the server's signature alone") {
    const World world;
    CHECK(failed_checks(world.verify(server_receipt_json(world.texts, world.server))).empty());
    // The key of the host may come along, if it is certified.
    json document = json::parse(server_receipt_json(world.texts, world.server));
    const json full = json::parse(receipt_json(world.texts, world.server, world.host));
    document["host_key"] = full["host_key"];
    document["host_key_certificate"] = full["host_key_certificate"];
    CHECK(failed_checks(world.verify(document.dump())).empty());
    document["host_key"] = world.stranger.public_base64();
    CHECK(failed_checks(world.verify(document.dump())) == "host_key");
}

TEST_CASE("a lease that never ran owes nothing") {
    World world;
    world.texts.head =
        replaced(world.texts.head, "started_at: 2026-01-02T03:04:05.678Z", "started_at: none");
    world.texts.head =
        replaced(world.texts.head, "segment: 2500000 3600001\nsegment: 1250000 1800001\n", "");
    world.texts.head =
        replaced(world.texts.head, "running_ms: 5400002\ncharged_micros: 6250002\nfee_micros: 312500",
                 "running_ms: 0\ncharged_micros: 0\nfee_micros: 0");
    CHECK(failed_checks(world.verify(server_receipt_json(world.texts, world.server))).empty());
}

TEST_CASE("clipped time may be less than stated, never more") {
    World world;
    world.texts.usage = replaced(world.texts.usage, "running_ms: 5400002", "running_ms: 5400003");
    CHECK(failed_checks(world.verify(receipt_json(world.texts, world.server, world.host))).empty());
    world.texts.usage = replaced(world.texts.usage, "running_ms: 5400003", "running_ms: 5400001");
    CHECK(failed_checks(world.verify(receipt_json(world.texts, world.server, world.host))) ==
          "usage_running");
}

TEST_CASE("a host that is lost has signed for what it ran until then") {
    World world;
    world.texts.usage = replaced(world.texts.usage, "final: true", "final: false");
    CHECK(failed_checks(world.verify(receipt_json(world.texts, world.server, world.host))).empty());
    world.texts.usage = replaced(world.texts.usage, "final: false", "final: maybe");
    CHECK(failed_checks(world.verify(receipt_json(world.texts, world.server, world.host))) ==
          "usage_lease usage_running");
}

// What an honest server would never sign.

struct TextRow {
    std::string what;
    std::string ReceiptTexts::*text;
    std::string from;
    std::string to;
    std::string failed;
};

const std::vector<TextRow> inconsistent_texts = {
    {"a charge one too high", &ReceiptTexts::head, "charged_micros: 6250002", "charged_micros: 6250003",
     "charge"},
    {"a charge one too low", &ReceiptTexts::head, "charged_micros: 6250002", "charged_micros: 6250001",
     "charge"},
    {"a fee above the charge", &ReceiptTexts::head, "fee_micros: 312500", "fee_micros: 6250003", "charge"},
    {"another price", &ReceiptTexts::head, "segment: 2500000 ", "segment: 2500001 ", "charge"},
    {"more cards", &ReceiptTexts::head, "thousandths: 2000", "thousandths: 2001", "charge"},
    {"a charge that overflows", &ReceiptTexts::head, "thousandths: 2000",
     "thousandths: 9223372036854775807", "charge"},
    {"a segment too long", &ReceiptTexts::head, "1250000 1800001", "1250000 1800002", "running_sum"},
    {"a total too long", &ReceiptTexts::head, "\nrunning_ms: 5400002", "\nrunning_ms: 5400003",
     "usage_running running_sum"},
    {"another lease", &ReceiptTexts::head, "lease: lease_1", "lease: lease_2", "usage_lease"},
    {"another host", &ReceiptTexts::head, "host: host_1", "host: host_2", "host_key usage_signature"},
    {"an end before the start", &ReceiptTexts::head, "ended_at: 2026-01-02T04", "ended_at: 2026-01-02T02",
     "period"},
    {"no start", &ReceiptTexts::head, "started_at: 2026-01-02T03:04:05.678Z", "started_at: none", "period"},
    {"usage of another lease", &ReceiptTexts::usage, "lease_1", "lease_2", "usage_lease"},
    {"usage of another form", &ReceiptTexts::usage, "fallow-usage-v1", "fallow-usage-v2",
     "usage_lease usage_running"},
    {"usage without its last line", &ReceiptTexts::usage, "final: true\n", "", "usage_lease usage_running"},
    {"a certificate for another host", &ReceiptTexts::certificate, "host_1", "host_2",
     "host_key usage_signature"},
    {"a certificate of another form", &ReceiptTexts::certificate, "host-key-v1", "host-key-v2",
     "host_key usage_signature"},
    {"a certificate with a line more", &ReceiptTexts::certificate, "host: host_1\n",
     "host: host_1\nhost: host_2\n", "host_key usage_signature"},
};

TEST_CASE("an inconsistent receipt is refused although the pinned key signed it") {
    for (const TextRow& row : inconsistent_texts) {
        CAPTURE(row.what);
        World world;
        world.texts.*row.text = replaced(world.texts.*row.text, row.from, row.to);
        const ReceiptReport report = world.verify(receipt_json(world.texts, world.server, world.host));
        // A sum that is off is off in the charge as well, which then fails too.
        std::string failed = failed_checks(report);
        if (row.failed.ends_with("running_sum") && failed == row.failed + " charge") failed = row.failed;
        CHECK(failed == row.failed);
        CHECK_FALSE(report.passed());
    }
}

struct FormRow {
    std::string what;
    std::string from;
    std::string to;
};

const std::vector<FormRow> malformed_heads = {
    {"another version", "fallow-receipt-v1", "fallow-receipt-v2"},
    {"a line missing", "order: order_1\n", ""},
    {"a line twice", "order: order_1\n", "order: order_1\norder: order_1\n"},
    {"two lines swapped", "order: order_1\nrenter: org_r\n", "renter: org_r\norder: order_1\n"},
    {"an unknown line", "order: order_1\n", "order: order_1\nnote: hello\n"},
    {"an empty value", "order: order_1\n", "order: \n"},
    {"a space too many", "order: order_1\n", "order:  order_1\n"},
    {"a carriage return", "order: order_1\n", "order: order_1\r\n"},
    {"a sign", "thousandths: 2000", "thousandths: +2000"},
    {"a zero in front", "thousandths: 2000", "thousandths: 02000"},
    {"a negative number", "fee_micros: 312500", "fee_micros: -1"},
    {"a number too large", "fee_micros: 312500", "fee_micros: 9223372036854775808"},
    {"a fraction", "fee_micros: 312500", "fee_micros: 0.5"},
    {"a segment without its time", "segment: 2500000 3600001", "segment: 2500000"},
    {"a moment of another form", "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05Z"},
    {"no segment lines where they belong", "fee_micros: 312500\n", "fee_micros: 312500\nsegment: 1 1\n"},
};

TEST_CASE("a text that is no receipt is not interpreted") {
    const auto expect_no_form = [](const World& world) {
        const ReceiptReport report = world.verify(receipt_json(world.texts, world.server, world.host));
        CHECK_FALSE(report.passed());
        CHECK_FALSE(report.facts);
        CHECK(report.checks.size() == 14);
        CHECK(report.checks.front().name == "form");
        CHECK_FALSE(report.checks.front().passed);
    };
    for (const FormRow& row : malformed_heads) {
        CAPTURE(row.what);
        World world;
        world.texts.head = replaced(world.texts.head, row.from, row.to);
        expect_no_form(world);
    }
    World world;
    world.texts.signers = "host";
    expect_no_form(world);
    for (const std::string document :
         {"", "null", "[]", "{}", "not json", R"({"receipt":1,"server_signature":""})"})
        CHECK_FALSE(world.verify(document).passed());
}

// What somebody without the server's key can do to a genuine document.

struct DocumentRow {
    std::string what;
    std::function<void(json&, const World&)> tamper;
    std::string failed;
};

void replace_in(json& document, const char* field, std::string_view from, std::string_view to) {
    document[field] = replaced(document[field].get<std::string>(), from, to);
}

const std::vector<DocumentRow> tamperings = {
    {"a smaller charge",
     [](json& d, const World&) {
         replace_in(d, "receipt", "charged_micros: 6250002", "charged_micros: 6250001");
     },
     "server_signature charge"},
    {"another renter", [](json& d, const World&) { replace_in(d, "receipt", "org_r", "org_x"); },
     "server_signature"},
    {"no server signature", [](json& d, const World&) { d["server_signature"] = ""; }, "server_signature"},
    {"a signature that is not base64", [](json& d, const World&) { d["server_signature"] = "%%"; },
     "server_signature"},
    {"a stranger's signature",
     [](json& d, const World& w) {
         d["server_signature"] = w.stranger.sign_base64(d["receipt"].get<std::string>());
     },
     "server_signature"},
    {"the host's signature for the server's",
     [](json& d, const World& w) {
         d["server_signature"] = w.host.sign_base64(d["receipt"].get<std::string>());
     },
     "server_signature"},
    {"a stranger's key in the receipt, signed by it",
     [](json& d, const World& w) {
         replace_in(d, "receipt", w.server.public_base64(), w.stranger.public_base64());
         d["server_signature"] = w.stranger.sign_base64(d["receipt"].get<std::string>());
     },
     "server_key server_signature"},
    {"a stranger's host key", [](json& d, const World& w) { d["host_key"] = w.stranger.public_base64(); },
     "host_key usage_signature"},
    {"a stranger's host key, certified by the stranger",
     [](json& d, const World& w) {
         const std::string statement =
             "fallow-host-key-v1\nhost: host_1\nkey: " + w.stranger.public_base64() +
             "\nregistered_at: 2026-01-01T00:00:00.000Z\n";
         d["host_key"] = w.stranger.public_base64();
         d["host_key_certificate"] = {{"statement", statement},
                                      {"signature", w.stranger.sign_base64(statement)}};
         d["usage_signature"] = w.stranger.sign_base64(d["usage_statement"].get<std::string>());
     },
     "host_key usage_signature"},
    {"no host key", [](json& d, const World&) { d["host_key"] = nullptr; },
     "signers host_key usage_signature"},
    {"no certificate", [](json& d, const World&) { d["host_key_certificate"] = nullptr; },
     "signers host_key usage_signature"},
    {"no usage statement", [](json& d, const World&) { d["usage_statement"] = nullptr; },
     "signers usage_digest usage_signature usage_lease usage_running"},
    {"no usage signature", [](json& d, const World&) { d["usage_signature"] = nullptr; },
     "signers usage_signature"},
    {"more usage, signed by the host",
     [](json& d, const World& w) {
         replace_in(d, "usage_statement", "running_ms: 5400002", "running_ms: 5400009");
         d["usage_signature"] = w.host.sign_base64(d["usage_statement"].get<std::string>());
     },
     "usage_digest"},
    {"more usage, not signed",
     [](json& d, const World&) {
         replace_in(d, "usage_statement", "running_ms: 5400002", "running_ms: 5400009");
     },
     "usage_digest usage_signature"},
    {"the host taken out of a two-party receipt",
     [](json& d, const World&) {
         d["usage_statement"] = d["usage_signature"] = d["host_key"] = d["host_key_certificate"] = nullptr;
     },
     "signers host_key usage_digest usage_signature usage_lease usage_running"},
};

TEST_CASE("a genuine document that was tampered with is refused") {
    const World world;
    for (const DocumentRow& row : tamperings) {
        CAPTURE(row.what);
        json document = json::parse(receipt_json(world.texts, world.server, world.host));
        row.tamper(document, world);
        CHECK(failed_checks(world.verify(document.dump())) == row.failed);
    }
}

TEST_CASE("a server-only receipt is not made better by usage nobody asked for") {
    const World world;
    json document = json::parse(server_receipt_json(world.texts, world.server));
    const json full = json::parse(receipt_json(world.texts, world.server, world.host));
    for (const char* field : {"usage_statement", "usage_signature"}) {
        json padded = document;
        padded[field] = full[field];
        CHECK_FALSE(world.verify(padded.dump()).passed());
    }
}

TEST_CASE("a receipt of home-made keys is refused") {
    const World world;
    const World forger;  // genuine in its own world
    const std::string forged = receipt_json(forger.texts, forger.server, forger.host);
    CHECK(forger.verify(forged).passed());
    CHECK(failed_checks(world.verify(forged)) == "server_key server_signature host_key usage_signature");
    // With the pinned key's name on it, too.
    ReceiptTexts named = forger.texts;
    named.head = replaced(named.head, forger.server.public_base64(), world.server.public_base64());
    CHECK(failed_checks(world.verify(receipt_json(named, forger.server, forger.host))) ==
          "server_signature host_key usage_signature");
}

TEST_CASE("a pinned key that is none verifies nothing") {
    const World world;
    const std::string document = receipt_json(world.texts, world.server, world.host);
    for (const std::string pinned : {"", "x", "AAAA", " "})
        CHECK(failed_checks(verify_receipt(document, pinned)) ==
              "server_key server_signature host_key usage_signature");
}

TEST_CASE("no single byte of what is signed, and of no signature, can change") {
    const World world;
    const json genuine = json::parse(receipt_json(world.texts, world.server, world.host));
    const auto expect_refused_everywhere = [&](const json::json_pointer& field) {
        const std::string text = genuine.at(field).get<std::string>();
        for (std::size_t i = 0; i < text.size(); ++i) {
            json document = genuine;
            std::string changed = text;
            changed[i] = changed[i] == 'A' ? 'B' : 'A';
            document[field] = changed;
            CAPTURE(field.to_string(), i);
            CHECK_FALSE(world.verify(document.dump()).passed());
        }
    };
    expect_refused_everywhere(json::json_pointer("/receipt"));
    expect_refused_everywhere(json::json_pointer("/server_signature"));
    expect_refused_everywhere(json::json_pointer("/usage_statement"));
    expect_refused_everywhere(json::json_pointer("/usage_signature"));
    expect_refused_everywhere(json::json_pointer("/host_key"));
    expect_refused_everywhere(json::json_pointer("/host_key_certificate/statement"));
    expect_refused_everywhere(json::json_pointer("/host_key_certificate/signature"));
}

TEST_CASE("what storage cost is recomputed from its size, its price and the time") {
    // 100 GiB at 0.07 for 730 hours are 9,589.041 micros an hour, and 1.5 hours ran.
    const std::string lines =
        "storage_bytes: 107374182400\nstorage_micros_per_gib_month: 70000\n"
        "storage_nanos_per_hour: 9589041\nstorage_micros: 14383\n";
    const auto with = [](World& world, const std::string& text) {
        world.texts.head = replaced(world.texts.head, "\nrunning_ms:", "\n" + text + "running_ms:");
        world.texts.head = replaced(world.texts.head, "charged_micros: 6250002", "charged_micros: 6264385");
        return failed_checks(world.verify(receipt_json(world.texts, world.server, world.host)));
    };
    struct Row {
        std::string from, to, failed;
    };
    const std::string all =
        "form server_key server_signature signers host_key usage_digest usage_signature usage_lease "
        "usage_running running_sum charge storage traffic period";
    for (const Row& row : std::vector<Row>{
             {"storage_micros: 14383", "storage_micros: 14383", ""},
             {"storage_micros: 14383", "storage_micros: 14384", "storage"},
             {"storage_bytes: 107374182400", "storage_bytes: 207374182400", "storage"},
             {"per_gib_month: 70000", "per_gib_month: 69999", "storage"},
             {"per_gib_month: 70000", "per_gib_month: 9223372036854775807", "storage"},
             {"nanos_per_hour: 9589041", "nanos_per_hour: 9590000", "charge storage"},
             {"storage_nanos_per_hour: 9589041\n", "", all},
         }) {
        CAPTURE(row.to);
        World world;
        CHECK(with(world, replaced(lines, row.from, row.to)) == row.failed);
    }
}

TEST_CASE("what traffic cost is recomputed from its size and its price, and is no more than was stated") {
    // 3,000 MiB at 0.02 a GiB are 58,593.75 micros. What is charged is one floor over all three.
    const std::string storage =
        "storage_bytes: 107374182400\nstorage_micros_per_gib_month: 70000\n"
        "storage_nanos_per_hour: 9589041\nstorage_micros: 14383\n";
    const std::string lines = "egress_mib: 3000\negress_micros_per_gib: 20000\negress_micros: 58594\n";
    const auto failed = [&](const std::string& egress, const std::string& charged,
                            const std::string& stated) {
        World world;
        world.texts.head =
            replaced(world.texts.head, "\nrunning_ms:", "\n" + storage + egress + "running_ms:");
        world.texts.head = replaced(world.texts.head, "charged_micros: 6250002", charged);
        world.texts.usage = replaced(world.texts.usage, "fallow-usage-v1", "fallow-usage-v2");
        world.texts.usage = replaced(world.texts.usage, "final:", stated + "final:");
        return failed_checks(world.verify(receipt_json(world.texts, world.server, world.host)));
    };
    const std::string charged = "charged_micros: 6322979";
    const std::string stated = "egress_bytes: 3145728000\n";
    const std::string all =
        "form server_key server_signature signers host_key usage_digest usage_signature usage_lease "
        "usage_running running_sum charge storage traffic period";
    CHECK(failed(lines, charged, stated).empty());
    CHECK(failed("", "charged_micros: 6264385", stated).empty());
    CHECK(failed("", "charged_micros: 6264385", "") == "usage_lease usage_running");
    CHECK(failed(lines, charged, "egress_bytes: 3145727999\n") == "traffic");
    CHECK(failed(lines, charged, "egress_bytes: 9223372036854775807\n").empty());
    struct Row {
        std::string from, to, failed;
    };
    for (const Row& row : std::vector<Row>{
             {"egress_micros: 58594", "egress_micros: 58593", "traffic"},
             {"egress_mib: 3000", "egress_mib: 2999", "charge"},
             {"egress_mib: 3000", "egress_mib: 3001", "charge traffic"},
             {"per_gib: 20000", "per_gib: 19999", "charge"},
             {"per_gib: 20000", "per_gib: 9223372036854775807", "charge"},
             {"egress_micros_per_gib: 20000\n", "", all},
             {"egress_mib: 3000\n", "", all},
         }) {
        CAPTURE(row.to);
        CHECK(failed(replaced(lines, row.from, row.to), charged, stated) == row.failed);
    }
    World old;
    old.texts.head =
        replaced(old.texts.head,
                 "\nrunning_ms:", "\n" + replaced(lines, "micros: 58594", "micros: 58593") + "running_ms:");
    old.texts.head = replaced(old.texts.head, "charged_micros: 6250002", "charged_micros: 6308595");
    CHECK(failed_checks(old.verify(receipt_json(old.texts, old.server, old.host))) == "traffic");
}

TEST_CASE("the charge is a floor over the whole lease, in 128 bits") {
    struct Row {
        std::vector<ReceiptSegment> segments;
        std::int64_t thousandths;
        std::optional<std::int64_t> charge;
    };
    static constexpr std::int64_t large = 9'223'372'036'854'775'807;
    const auto row = GENERATE(values<Row>({
        {{}, 1'000, 0},
        {{{1, 3'600'000}}, 1'000, 1},
        {{{1, 3'599'999}}, 1'000, 0},
        {{{1, 1'800'000}, {1, 1'800'000}}, 1'000, 1},  // not the sum of two floors
        {{{2'500'000, 7'200'000}}, 2'000, 10'000'000},
        {{{1'000'000'000'000, 31'622'400'000}}, 64'000, 562'176'000'000'000'000},
        {{{large, large}}, 1, {}},
        {{{large, large}}, 3, {}},
        {{{large, 3'600'000}}, 1'000, large},
        {{{large, 3'600'000}, {1, 3'600'000}}, 1'000, {}},
    }));
    CHECK(charge_of(row.segments, row.thousandths) == row.charge);
}

}  // namespace
}  // namespace fallow::sdk
