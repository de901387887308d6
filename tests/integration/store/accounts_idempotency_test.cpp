#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "integration/store/accounts_rows.hpp"

namespace fallow::store {
namespace {

accounts::IdempotencyKey a_key(std::string key = "once", OrganizationId organization = renter) {
    return {organization, "POST /v1/keys", std::move(key), "body hash"};
}

void keep(AccountRows& rows, const accounts::IdempotencyKey& key, const std::string& reply) {
    rows.as(Actor::request(key.organization), [&](Transaction& tx) {
        IdempotencyStore store(tx);
        REQUIRE_FALSE(store.claim(key).value().has_value());
        store.keep(key, {201, reply}, test_now);
    });
}

Result<std::optional<accounts::StoredReply>> claim(AccountRows& rows, const accounts::IdempotencyKey& key) {
    return rows.as(Actor::request(key.organization),
                   [&](Transaction& tx) { return IdempotencyStore(tx).claim(key); });
}

TEST_CASE("a stored reply comes back byte for byte") {
    AccountRows rows;
    const std::string reply = "{\"name\":\"caf\xc3\xa9 \\\\ \\u0000\"}\n";
    keep(rows, a_key(), reply);
    const auto stored = claim(rows, a_key());
    REQUIRE(stored.ok());
    REQUIRE(stored->has_value());
    CHECK((*stored)->status == 201);
    CHECK((*stored)->body == reply);
}

TEST_CASE("a key is one organization's, one route's and one body's") {
    AccountRows rows;
    keep(rows, a_key(), "reply");
    accounts::IdempotencyKey other = a_key();
    other.body_hash = "another";
    CHECK(claim(rows, other).error().code == ErrorCode::idempotency_key_reused);
    CHECK_FALSE(claim(rows, a_key("once", seller)).value().has_value());
    CHECK_FALSE(claim(rows, a_key("twice")).value().has_value());
    other = a_key();
    other.route = "POST /v1/artifacts";
    CHECK_FALSE(claim(rows, other).value().has_value());
}

TEST_CASE("what was rolled back was never claimed") {
    AccountRows rows;
    {
        Transaction tx(rows.connection, Actor::request(renter));
        IdempotencyStore store(tx);
        REQUIRE_FALSE(store.claim(a_key()).value().has_value());
        store.keep(a_key(), {201, "lost"}, test_now);
    }
    CHECK_FALSE(claim(rows, a_key()).value().has_value());
}

TEST_CASE("a twin waits for the first request and gets its reply") {
    AccountRows rows;
    std::future<std::string> twin;
    {
        Transaction tx(rows.connection, Actor::request(renter));
        IdempotencyStore store(tx);
        REQUIRE_FALSE(store.claim(a_key()).value().has_value());
        twin = std::async(std::launch::async, [&rows] {
            Connection connection({.url = rows.url});
            Transaction second(connection, Actor::request(renter));
            return IdempotencyStore(second).claim(a_key()).value().value().body;
        });
        const auto has_answer = [&] {
            return twin.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        };
        while (!has_answer() && rows.peek("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0") {
        }
        REQUIRE_FALSE(has_answer());
        store.keep(a_key(), {201, "the first's"}, test_now);
        tx.commit();
    }
    CHECK(twin.get() == "the first's");
}

}  // namespace
}  // namespace fallow::store
