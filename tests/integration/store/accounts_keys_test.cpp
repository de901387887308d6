#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "integration/store/accounts_rows.hpp"

namespace fallow::store {
namespace {

using accounts::ApiKey;
using Json = nlohmann::json;

ApiKey a_key(std::uint64_t number, OrganizationId organization = renter) {
    ApiKey key;
    key.id = KeyId(RawId{0x50, number});
    key.organization = organization;
    key.name = "build \"robot\", {caf\xc3\xa9}";
    key.prefix = "fallow_abcde";
    key.scopes = {"renter:read", "renter:write"};
    key.created_at = test_now + Millis(static_cast<std::int64_t>(number));
    key.expires_at = test_now + days(90);
    return key;
}

std::string numbered_hash(std::uint64_t number) {
    std::string hash(32, '\0');
    hash[0] = static_cast<char>(number);
    return hash;
}

ApiKey create(AccountRows& rows, std::uint64_t number, OrganizationId organization = renter) {
    return rows.as(Actor::request(organization), [&](Transaction& tx) {
        return AccountsStore(tx, test_author)
            .create_key(a_key(number, organization), numbered_hash(number))
            .value();
    });
}

std::optional<accounts::FoundKey> find(AccountRows& rows, std::uint64_t number) {
    return rows.as(Actor::auth(), [&](Transaction& tx) {
        return AuthStore(tx, test_author).find_key(numbered_hash(number));
    });
}

TEST_CASE("a key is found by its hash, with its organization's status") {
    AccountRows rows;
    const ApiKey created = create(rows, 1);
    const auto found = find(rows, 1);
    REQUIRE(found.has_value());
    CHECK(found->key == created);
    CHECK(found->key == a_key(1));
    CHECK_FALSE(found->organization_frozen);
    CHECK_FALSE(find(rows, 2).has_value());

    rows.poke("UPDATE organizations SET status = 'frozen'");
    CHECK(find(rows, 1)->organization_frozen);
}

TEST_CASE("the database keeps no secret of a key, and the journal not even its hash") {
    AccountRows rows;
    create(rows, 7);
    const std::string record =
        rows.peek("SELECT record FROM journal WHERE stream = 'accounts' AND seq = 1");
    const Json entry = Json::parse(record).at("entries").at(0);
    CHECK(entry.at("event") == "key.created");
    CHECK(entry.at("actor") == "key_test");
    CHECK(entry.at("orgs") == Json{renter.text()});
    CHECK(entry.at("row").at("scopes") == Json{"renter:read", "renter:write"});
    CHECK_FALSE(entry.at("row").contains("hash"));
}

TEST_CASE("a stranger's key is not there") {
    AccountRows rows;
    const KeyId key = create(rows, 1).id;
    rows.as(Actor::request(seller), [&](Transaction& tx) {
        AccountsStore store(tx, test_author);
        CHECK(store.find_key(key).error().code == ErrorCode::not_found);
        CHECK(store.revoke_key(key).error().code == ErrorCode::not_found);
        CHECK(store.rotate_key(key, KeyId(RawId{1, 1}), "p", hash_of('x')).error().code ==
              ErrorCode::not_found);
        CHECK(store.list_keys(10, std::nullopt).items.empty());
    });
    CHECK_FALSE(find(rows, 1)->key.revoked_at.has_value());
}

TEST_CASE("a key for an organization that is not one's own, or does not exist, is not made") {
    AccountRows rows;
    const OrganizationId nobody(RawId{9, 9});
    for (const Actor& actor : {Actor::request(seller), Actor::admin()}) {
        rows.as(actor, [&](Transaction& tx) {
            const auto made = AccountsStore(tx, test_author).create_key(a_key(1, nobody), hash_of('x'));
            CHECK(made.error().code == ErrorCode::not_found);
        });
    }
    rows.as(Actor::request(seller), [&](Transaction& tx) {
        const auto made = AccountsStore(tx, test_author).create_key(a_key(1, renter), hash_of('x'));
        CHECK(made.error().code == ErrorCode::not_found);
    });
    CHECK(rows.peek("SELECT count(*) FROM api_keys") == "0");
}

TEST_CASE("the operator makes an organization's first key") {
    AccountRows rows;
    rows.as(Actor::admin(), [&](Transaction& tx) {
        CHECK(AccountsStore(tx, test_author).create_key(a_key(1, seller), numbered_hash(1)).ok());
    });
    CHECK(find(rows, 1)->key.organization == seller);
}

TEST_CASE("whether there is an admin key decides whether an installation is new") {
    AccountRows rows;
    const auto has_admin = [&](Time at) {
        return rows.as(Actor::auth(),
                       [&](Transaction& tx) { return AuthStore(tx, test_author).has_admin_key(at); });
    };
    create(rows, 1);
    CHECK_FALSE(has_admin(test_now));
    ApiKey admin = a_key(2);
    admin.scopes = {"admin"};
    rows.as(Actor::auth(), [&](Transaction& tx) {
        CHECK(AccountsStore(tx, {"system", test_now}).create_key(admin, numbered_hash(2)).ok());
    });
    CHECK(has_admin(test_now));
    CHECK_FALSE(has_admin(admin.expires_at));
    rows.as(Actor::request(renter),
            [&](Transaction& tx) { CHECK(AccountsStore(tx, test_author).revoke_key(admin.id).ok()); });
    CHECK_FALSE(has_admin(test_now));
}

TEST_CASE("pages show every key once, oldest first") {
    AccountRows rows;
    for (std::uint64_t number = 1; number <= 7; ++number)
        create(rows, number);
    create(rows, 8, seller);
    std::vector<ApiKey> seen;
    rows.as(Actor::request(renter), [&](Transaction& tx) {
        AccountsStore store(tx, test_author);
        std::optional<accounts::Position> after;
        do {
            const auto page = store.list_keys(3, after);
            CHECK(page.items.size() <= 3);
            seen.insert(seen.end(), page.items.begin(), page.items.end());
            after = page.next;
        } while (after);
    });
    REQUIRE(seen.size() == 7);
    for (std::uint64_t number = 1; number <= 7; ++number)
        CHECK(seen[number - 1] == a_key(number));
}

TEST_CASE("a revoked key stays revoked since when it was") {
    AccountRows rows;
    const KeyId key = create(rows, 1).id;
    for (const Time at : {test_now + hours(1), test_now + hours(2)}) {
        rows.as(Actor::request(renter), [&](Transaction& tx) {
            const auto revoked = AccountsStore(tx, {"key_test", at}).revoke_key(key);
            REQUIRE(revoked.ok());
            CHECK(revoked->revoked_at == test_now + hours(1));
        });
    }
    CHECK(find(rows, 1)->key.revoked_at == test_now + hours(1));
    CHECK(rows.peek("SELECT count(*) FROM journal") == "2");
}

TEST_CASE("a rotation leaves two keys, and the old one can have one successor only") {
    AccountRows rows;
    const ApiKey old = create(rows, 1);
    const KeyId fresh(RawId{0x51, 1});
    const auto rotate = [&](KeyId key, KeyId to, char hash) {
        return rows.as(Actor::request(renter), [&](Transaction& tx) {
            return AccountsStore(tx, test_author).rotate_key(key, to, "fallow_fresh", hash_of(hash));
        });
    };
    const auto rotation = rotate(old.id, fresh, 'f');
    REQUIRE(rotation.ok());
    CHECK(rotation->old.expires_at == test_now + days(7));
    CHECK(find(rows, 1)->key == rotation->old);
    const auto found = rows.as(
        Actor::auth(), [&](Transaction& tx) { return AuthStore(tx, test_author).find_key(hash_of('f')); });
    REQUIRE(found.has_value());
    CHECK(found->key == rotation->fresh);
    CHECK(found->key.scopes == old.scopes);

    CHECK(rotate(old.id, KeyId(RawId{0x51, 2}), 'g').error().code == ErrorCode::wrong_state);
    CHECK(rotate(fresh, KeyId(RawId{0x51, 3}), 'h').ok());
    const Json record = Json::parse(rows.peek("SELECT record FROM journal WHERE seq = 2"));
    CHECK(record.at("entries").at(0).at("event") == "key.rotated");
    CHECK(record.at("entries").at(1).at("event") == "key.created");
}

TEST_CASE("an organization has a bounded number of keys that have not ended") {
    AccountRows rows;
    rows.poke(
        "INSERT INTO api_keys (id, organization_id, name, prefix, hash, scopes, created_at, expires_at)"
        " SELECT gen_random_uuid(), '" +
        format_uuid(renter.raw) +
        "', 'k', 'p', sha256(n::text::bytea),"
        " '{admin}', 0, " +
        std::to_string((test_now + days(1)).ms) + " FROM generate_series(1, 99) AS n");
    create(rows, 1);
    const auto create_another = [&](std::uint64_t number) {
        return rows.as(Actor::request(renter), [&](Transaction& tx) {
            return AccountsStore(tx, test_author).create_key(a_key(number), numbered_hash(number));
        });
    };
    CHECK(create_another(2).error().code == ErrorCode::limit_reached);
    rows.as(Actor::request(renter), [&](Transaction& tx) {
        const auto rotated =
            AccountsStore(tx, test_author).rotate_key(a_key(1).id, KeyId(RawId{1, 1}), "p", hash_of('x'));
        CHECK(rotated.error().code == ErrorCode::limit_reached);
    });
    create(rows, 3, seller);
    rows.as(Actor::request(renter),
            [&](Transaction& tx) { CHECK(AccountsStore(tx, test_author).revoke_key(a_key(1).id).ok()); });
    CHECK(create_another(2).ok());
}

TEST_CASE("the chain of the accounts' journal can be followed from its start") {
    AccountRows rows;
    for (std::uint64_t number = 1; number <= 5; ++number)
        create(rows, number);
    CHECK(rows.peek(
              "WITH RECURSIVE chained AS ("
              " SELECT 0::bigint AS seq, ''::text AS chain"
              " UNION ALL SELECT j.seq, encode(sha256(convert_to(c.chain || j.record, 'UTF8')), 'hex')"
              " FROM chained c JOIN journal j ON j.seq = c.seq + 1 AND j.stream = 'accounts')"
              " SELECT count(*) FROM chained c JOIN journal j USING (seq) WHERE j.chain = c.chain") == "5");
    CHECK(rows.peek("SELECT seq FROM journal_streams") == "5");
}

}  // namespace
}  // namespace fallow::store
