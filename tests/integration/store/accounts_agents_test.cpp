#include <catch2/catch.hpp>

#include "integration/store/accounts_rows.hpp"

namespace fallow::store {
namespace {

using accounts::AgentCertificate;
using accounts::EnrollmentToken;

EnrollmentToken a_token(std::uint64_t number = 1) {
    EnrollmentToken token;
    token.id = TokenId(RawId{0x60, number});
    token.organization = seller;
    token.name = "rack 3";
    token.country = "DE";
    token.created_at = test_now;
    token.expires_at = test_now + hours(1);
    return token;
}

void create(AccountRows& rows) {
    rows.as(Actor::request(seller), [&](Transaction& tx) {
        REQUIRE(AccountsStore(tx, test_author).create_token(a_token(), hash_of('t')).ok());
    });
}

Result<EnrollmentToken> reserve(AccountRows& rows, HostId host, const std::string& signing_key, Time now,
                                char hash = 't') {
    return rows.as(Actor::auth(), [&](Transaction& tx) {
        return AuthStore(tx, test_author).reserve_token(hash_of(hash), host, signing_key, now);
    });
}

TEST_CASE("a token is bound to the first agent that uses it") {
    AccountRows rows;
    create(rows);
    const HostId first(RawId{0x21, 1});
    const HostId second(RawId{0x21, 2});
    const auto reserved = reserve(rows, first, "key A", test_now + minutes(5));
    REQUIRE(reserved.ok());
    CHECK(reserved->host == first);
    CHECK(reserved->organization == seller);
    CHECK(reserved->name == "rack 3");
    CHECK(reserved->used_at == test_now + minutes(5));

    // Its reply was lost: the same agent gets the same host, whatever id was drawn for it this time.
    const auto repeated = reserve(rows, second, "key A", test_now + minutes(6));
    REQUIRE(repeated.ok());
    CHECK(repeated.value() == reserved.value());

    CHECK(reserve(rows, second, "key B", test_now + minutes(6)).error().code == ErrorCode::token_invalid);
    CHECK(reserve(rows, second, "key A", a_token().expires_at).error().code == ErrorCode::token_invalid);
}

TEST_CASE("an unknown or expired token is refused") {
    AccountRows rows;
    create(rows);
    const HostId host(RawId{0x21, 1});
    CHECK(reserve(rows, host, "key A", test_now, 'u').error().code == ErrorCode::token_invalid);
    CHECK(reserve(rows, host, "key A", a_token().expires_at).error().code == ErrorCode::token_invalid);
    CHECK(reserve(rows, host, "key A", a_token().expires_at - Millis(1)).ok());
}

TEST_CASE("an organization has a bounded number of unused tokens") {
    AccountRows rows;
    rows.poke(
        "INSERT INTO enrollment_tokens (id, organization_id, host_name, country, hash, created_at, "
        "expires_at)"
        " SELECT gen_random_uuid(), '" +
        format_uuid(seller.raw) + "', 'h', 'DE', sha256(n::text::bytea), 0, " +
        std::to_string((test_now + hours(1)).ms) + " FROM generate_series(1, 100) AS n");
    const auto create_at = [&](Time now) {
        return rows.as(Actor::request(seller), [&](Transaction& tx) {
            return AccountsStore(tx, {"key_test", now}).create_token(a_token(), hash_of('t'));
        });
    };
    CHECK(create_at(test_now).error().code == ErrorCode::limit_reached);
    CHECK(create_at(test_now + hours(1)).ok());
}

TEST_CASE("a certificate is known by its serial number, with its host's and organization's state") {
    AccountRows rows;
    const AgentCertificate certificate{"00af12",    seller, seller_host, test_now, test_now + hours(24),
                                       std::nullopt};
    const auto find = [&](const std::string& serial) {
        return rows.as(Actor::auth(), [&](Transaction& tx) {
            return AuthStore(tx, test_author).find_certificate(serial);
        });
    };
    rows.as(Actor::auth(),
            [&](Transaction& tx) { AuthStore(tx, test_author).record_certificate(certificate); });
    const auto found = find("00af12");
    REQUIRE(found.has_value());
    CHECK(found->certificate == certificate);
    CHECK_FALSE(found->host_retired);
    CHECK_FALSE(found->organization_frozen);
    CHECK_FALSE(find("00af13").has_value());

    rows.poke("UPDATE hosts SET state = 'retired'; UPDATE organizations SET status = 'frozen'");
    CHECK(find("00af12")->host_retired);
    CHECK(find("00af12")->organization_frozen);
    CHECK(rows.peek("SELECT record::jsonb #>> '{entries,0,event}' FROM journal") == "certificate.issued");
}

}  // namespace
}  // namespace fallow::store
