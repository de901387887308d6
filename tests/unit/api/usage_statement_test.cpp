#include "api/usage_statement.hpp"

#include <catch2/catch.hpp>

using namespace fallow;
using namespace fallow::api;

namespace {

std::string statement(const std::string& from = "", const std::string& to = "") {
    std::string text =
        "fallow-usage-v1\n"
        "lease: lease_00000000000000000000000007\n"
        "epoch: 12\n"
        "container: 0123abcd\n"
        "boot: 7c8e-1\n"
        "nonce: 0123456789abcdef0123456789abcdef\n"
        "sequence: 3\n"
        "running_ms: 123456\n"
        "final: false\n";
    if (!from.empty()) text.replace(text.find(from), from.size(), to);
    return text;
}

/// The same with what was sent.
std::string second_form(const std::string& from = "", const std::string& to = "") {
    std::string text = statement("running_ms: 123456\n", "running_ms: 123456\negress_bytes: 1048577\n");
    text.replace(0, 15, "fallow-usage-v2");
    if (!from.empty()) text.replace(text.find(from), from.size(), to);
    return text;
}

}  // namespace

TEST_CASE("a usage statement is read") {
    const auto usage = parse_usage_statement(statement());
    REQUIRE(usage.ok());
    CHECK(usage->lease == LeaseId(RawId{0, 7}));
    CHECK(usage->lease_epoch == 12);
    CHECK(usage->container == "0123abcd");
    CHECK(usage->boot == "7c8e-1");
    CHECK(usage->nonce == "0123456789abcdef0123456789abcdef");
    CHECK(usage->sequence == 3);
    CHECK(usage->running == Millis(123456));
    CHECK_FALSE(usage->final);
    CHECK_FALSE(usage->egress_bytes);
    CHECK(usage->statement == statement());
    CHECK(parse_usage_statement(statement("final: false", "final: true"))->final);
    CHECK(parse_usage_statement(statement("running_ms: 123456", "running_ms: 0"))->running == Millis());
}

TEST_CASE("a usage statement of the second form tells what was sent") {
    const auto usage = parse_usage_statement(second_form());
    REQUIRE(usage.ok());
    CHECK(usage->egress_bytes == 1'048'577);
    CHECK(usage->running == Millis(123456));
    CHECK(usage->statement == second_form());
    CHECK(parse_usage_statement(second_form("1048577", "9223372036854775807"))->egress_bytes == INT64_MAX);
    const auto [from, to] = GENERATE(values<std::pair<std::string, std::string>>({
        {"egress_bytes: 1048577\n", ""},
        {"egress_bytes: 1048577", "egress_bytes: -1"},
        {"egress_bytes: 1048577", "egress_bytes: 9223372036854775808"},
        {"egress_bytes: 1048577", "egress_mib: 1"},
        {"fallow-usage-v2", "fallow-usage-v1"},
        {"fallow-usage-v2", "fallow-usage-v3"},
    }));
    INFO(from + " -> " + to);
    CHECK_FALSE(parse_usage_statement(second_form(from, to)).ok());
}

TEST_CASE("a usage statement that is not exactly one is refused") {
    struct Change {
        std::string from, to;
    };
    const auto change = GENERATE(values<Change>({
        {"fallow-usage-v1", "fallow-usage-v2"},
        {"lease: lease_", "lease: job_"},
        {"lease: ", "lease:"},
        {"epoch: 12", "epoch: 012"},
        {"epoch: 12", "epoch: +12"},
        {"epoch: 12", "epoch: -1"},
        {"epoch: 12", "epoch: "},
        {"epoch: 12", "epoch: 99999999999999999999"},
        {"epoch: 12\n", ""},
        {"epoch: 12", "epoch: 12\nepoch: 12"},
        {"container: 0123abcd", "container: 01 23"},
        {"container: 0123abcd", "container: "},
        {"nonce: 0123", "nonce: 012"},
        {"nonce: 0123456789abcdef0123456789abcdef", "nonce: 0123456789ABCDEF0123456789ABCDEF"},
        {"sequence: 3", "sequence: 3 "},
        {"running_ms: 123456", "running_ms: 1e3"},
        {"final: false", "final: no"},
        {"final: false\n", "final: false"},
        {"final: false\n", "final: false\n\n"},
        {"final: false\n", "final: false\r\n"},
    }));
    INFO(change.from + " -> " + change.to);
    const auto refused = parse_usage_statement(statement(change.from, change.to));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::invalid_field);
    CHECK(refused.error().pointer == "/statement");
}
