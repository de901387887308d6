#include "ledger/account.hpp"

#include <catch2/catch.hpp>

#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::ledger;
using fallow::testing::text_table;

namespace {

Account account(const std::string& kind, std::int64_t balance, std::uint64_t id) {
    return Account{AccountId(RawId{9, id}), OrganizationId(RawId{1, id}), *parse_enum<AccountKind>(kind),
                   Micros(balance)};
}

std::string outcome(const Status& status) {
    return status ? "ok" : std::string(name_of(status.error().code));
}

}  // namespace

TEST_CASE("A transfer is refused for the first rule that it breaks") {
    for (const auto& row : text_table(R"(
        debit     | debit balance     | credit    | credit balance    | amount            | outcome
        available | 100               | held      | 0                 | 100               | ok
        available | 100               | held      | 0                 | 101               | insufficient_funds
        available | 0                 | held      | 0                 | 1                 | insufficient_funds
        available | 100               | held      | 0                 | 0                 | invalid_field
        available | 100               | held      | 0                 | -5                | invalid_field
        held      | 7                 | earned    | 0                 | 7                 | ok
        held      | 7                 | fees      | 0                 | 8                 | insufficient_funds
        earned    | 3                 | external  | -3                | 3                 | ok
        external  | 0                 | available | 0                 | 1000000000000000  | ok
        external  | 0                 | available | 0                 | 1000000000000001  | invalid_field
        external  | -999999999999999  | available | 0                 | 1                 | ok
        external  | -999999999999999  | available | 0                 | 2                 | insufficient_funds
        available | 1000000000000000  | held      | 0                 | 1000000000000000  | ok
        available | 10                | held      | 999999999999999   | 1                 | ok
        available | 10                | held      | 999999999999999   | 2                 | limit_reached
        available | 1                 | held      | 1000000000000000  | 2                 | insufficient_funds
    )")) {
        INFO(row["debit"] << ' ' << row["debit balance"] << " -> " << row["credit"] << ' '
                          << row["amount"]);
        const Account debit = account(row["debit"], row.number("debit balance"), 1);
        const Account credit = account(row["credit"], row.number("credit balance"), 2);
        CHECK(outcome(check_transfer(debit, credit, Micros(row.number("amount")))) == row["outcome"]);
    }
}

TEST_CASE("A transfer needs two different accounts") {
    const Account one = account("available", 100, 1);
    CHECK(outcome(check_transfer(one, one, Micros(1))) == "invalid_field");
}

TEST_CASE("A refusal says how much is missing") {
    const auto status = check_transfer(account("available", 40, 1), account("held", 0, 2), Micros(100));
    REQUIRE_FALSE(status);
    CHECK(status.error().detail ==
          "The available account has 40 micros and 100 are needed: deposit at least 60 more.");
}

TEST_CASE("Only the external account may be below zero") {
    for (const auto& row : text_table(R"(
        kind      | floor
        external  | -1000000000000000
        fees      | 0
        available | 0
        held      | 0
        earned    | 0
    )"))
        CHECK(floor_of(*parse_enum<AccountKind>(row["kind"])).count == row.number("floor"));
}
