#include "accounts/keys.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace fallow::accounts {
namespace {

constexpr Time start(1'700'000'000'000);

ApiKey a_key(Millis life) {
    ApiKey key;
    key.id = KeyId(RawId{1, 2});
    key.organization = OrganizationId(RawId{3, 4});
    key.name = "build robot";
    key.prefix = "fallow_abcde";
    key.scopes = {"renter:read", "renter:write"};
    key.created_at = start;
    key.expires_at = start + life;
    return key;
}

std::string outcome_of(const Status& status) {
    return status.ok() ? "ok" : std::string(name_of(status.error().code)) + " " + status.error().pointer;
}

TEST_CASE("a name is bounded plain text") {
    struct Row {
        std::string name;
        std::string expected;
    };
    const std::string bad = "invalid_field /name";
    const std::vector<Row> rows = {
        {"a", "ok"},
        {"rack 4, slot 2", "ok"},
        {"M\xc3\xbcnchen \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80", "ok"},
        {std::string(100, 'x'), "ok"},
        {std::string(101, 'x'), bad},
        {"", bad},
        {" a", bad},
        {"a ", bad},
        {"a\nb", bad},
        {std::string("a\0b", 3), bad},
        {"a\x7f", bad},
        {"\xc2\x85", bad},          // NEL, a control of C1
        {"\xc3", bad},              // cut short
        {"\x80", bad},              // a continuation alone
        {"\xc0\xaf", bad},          // overlong '/'
        {"\xe0\x80\xaf", bad},      // overlong again
        {"\xed\xa0\x80", bad},      // a surrogate
        {"\xf4\x90\x80\x80", bad},  // above U+10FFFF
        {"\xff", bad},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        CHECK(outcome_of(check_name(row.name)) == row.expected);
    }
    CHECK(outcome_of(check_name("", "/host/name")) == "invalid_field /host/name");
}

TEST_CASE("a country is two upper-case letters") {
    CHECK(outcome_of(check_country("DE")) == "ok");
    for (const std::string bad : {"", "D", "de", "DEU", "D1", "\xc3\x84"}) {
        CAPTURE(bad);
        CHECK(outcome_of(check_country(bad)) == "invalid_field /country");
    }
}

TEST_CASE("a key passes on only scopes it has") {
    struct Row {
        std::vector<std::string> wanted;
        std::vector<std::string> own;
        std::string expected;
    };
    const std::vector<Row> rows = {
        {{"renter:read"}, {"renter:read", "renter:write"}, "ok"},
        {{"renter:read", "renter:write"}, {"renter:read", "renter:write"}, "ok"},
        {{"renter:read", "admin"}, {"renter:read"}, "scope_missing /scopes/1"},
        {{"seller:read"}, {"admin"}, "scope_missing /scopes/0"},
        {{}, {"admin"}, "invalid_field /scopes"},
    };
    for (const Row& row : rows)
        CHECK(outcome_of(check_scopes(row.wanted, row.own)) == row.expected);
}

TEST_CASE("a key ends after 90 days unless it is asked otherwise") {
    CHECK(key_expiry(start, std::nullopt).value() == start + days(90));
    CHECK(key_expiry(start, minutes(1)).value() == start + minutes(1));
    CHECK(key_expiry(start, days(366)).value() == start + days(366));
    for (const Millis bad : {Millis(0), Millis(-1), minutes(1) - Millis(1), days(366) + Millis(1)}) {
        CAPTURE(bad.count);
        const auto refused = key_expiry(start, bad);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().pointer == "/expires_in_ms");
    }
}

TEST_CASE("a key may be used until the moment it ends") {
    ApiKey key = a_key(days(1));
    CHECK(outcome_of(check_usable(key, key.expires_at - Millis(1))) == "ok");
    CHECK(outcome_of(check_usable(key, key.expires_at)) == "key_expired ");
    key.revoked_at = start;
    CHECK(outcome_of(check_usable(key, start)) == "key_revoked ");
}

TEST_CASE("a rotation makes an equal key and lets the old one live on for a week at most") {
    struct Row {
        Millis life;
        Millis age;
        Millis old_left;
    };
    const std::vector<Row> rows = {
        {days(90), days(10), days(7)},
        {days(90), days(88), days(2)},
        {days(3), days(1), days(2)},
    };
    for (const Row& row : rows) {
        const ApiKey old = a_key(row.life);
        const Time now = start + row.age;
        const auto rotated = rotate(old, KeyId(RawId{9, 9}), "fallow_fresh", now);
        REQUIRE(rotated.ok());
        CHECK(rotated->old.expires_at == now + row.old_left);
        CHECK(rotated->old.id == old.id);
        CHECK(rotated->fresh.id == KeyId(RawId{9, 9}));
        CHECK(rotated->fresh.prefix == "fallow_fresh");
        CHECK(rotated->fresh.name == old.name);
        CHECK(rotated->fresh.scopes == old.scopes);
        CHECK(rotated->fresh.created_at == now);
        CHECK(rotated->fresh.expires_at == now + row.life);
    }
}

TEST_CASE("a key that has ended cannot be rotated") {
    ApiKey key = a_key(days(1));
    CHECK(rotate(key, KeyId(RawId{9, 9}), "p", key.expires_at).error().code == ErrorCode::wrong_state);
    key.revoked_at = start;
    CHECK(rotate(key, KeyId(RawId{9, 9}), "p", start).error().code == ErrorCode::wrong_state);
}

}  // namespace
}  // namespace fallow::accounts
