#include "auth/scopes.hpp"

#include <catch2/catch.hpp>

#include "auth/actor.hpp"

using namespace fallow;
using namespace fallow::auth;

TEST_CASE("scopes are read and written by name", "[scopes]") {
    const auto set = parse_scopes({"admin", "seller:read"});
    REQUIRE(set.ok());
    CHECK(set->has(Scope::admin));
    CHECK(set->has(Scope::seller_read));
    CHECK_FALSE(set->has(Scope::seller_write));
    CHECK(set->text() == "seller:read admin");
    CHECK(set->names() == std::vector<std::string>{"seller:read", "admin"});
    CHECK(ScopeSet::all().text() == "seller:read seller:write renter:read renter:write admin");
    for (const std::string& name : ScopeSet::all().names())
        CHECK(name_of(*parse_scope(name)) == name);
}

TEST_CASE("a scope that is unknown, repeated or missing is refused where it stands", "[scopes]") {
    struct Row {
        std::vector<std::string> names;
        std::string pointer;
    };
    const Row rows[] = {
        {{}, "/scopes"},          {{"admin", "root"}, "/scopes/1"},
        {{"ADMIN"}, "/scopes/0"}, {{"admin", "seller:read", "admin"}, "/scopes/2"},
        {{""}, "/scopes/0"},
    };
    for (const Row& row : rows) {
        const auto set = parse_scopes(row.names);
        REQUIRE_FALSE(set.ok());
        CHECK(set.error().code == ErrorCode::invalid_field);
        CHECK(set.error().pointer == row.pointer);
    }
}

TEST_CASE("bits come from the database and no unknown one passes", "[scopes]") {
    const ScopeSet set{Scope::renter_read, Scope::renter_write};
    CHECK(set.bits() == 12U);
    CHECK(ScopeSet::from_bits(12U) == set);
    CHECK(ScopeSet::from_bits(0)->empty());
    CHECK_FALSE(ScopeSet::from_bits(32U).has_value());
    CHECK_FALSE(ScopeSet::from_bits(0xffffffffU).has_value());
}

TEST_CASE("no scope implies another, and a key can only give what it has", "[scopes]") {
    const ScopeSet admin{Scope::admin};
    CHECK_FALSE(admin.has(Scope::renter_write));
    CHECK(ScopeSet::all().includes(admin));
    CHECK(admin.includes(ScopeSet{}));
    CHECK_FALSE(admin.includes(ScopeSet{Scope::admin, Scope::seller_read}));
}

TEST_CASE("an actor is a key or a host of its organization", "[actor]") {
    const Actor person{OrganizationId(RawId{1, 1}), ScopeSet::all(), KeyId(RawId{2, 2})};
    CHECK(person.key() == KeyId(RawId{2, 2}));
    CHECK_FALSE(person.host().has_value());
    const Actor agent{OrganizationId(RawId{1, 1}), {}, HostId(RawId{2, 2})};
    CHECK(agent.host() == HostId(RawId{2, 2}));
    CHECK_FALSE(agent.key().has_value());
    CHECK_FALSE(agent == person);
}
