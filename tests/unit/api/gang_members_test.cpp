// Where a host's end of a gang's network can be said to be.
#include "api/gang_members.hpp"

#include <catch2/catch.hpp>

using namespace fallow;
using namespace fallow::api;

TEST_CASE("an endpoint is an address and a port, both in figures") {
    const struct {
        const char* text;
        bool is_one;
    } rows[] = {
        {"198.41.0.4:51820", true},
        {"10.0.0.4:1", true},
        {"198.41.0.4:65535", true},
        {"[2001:db8::4]:51820", true},
        {"[::1]:51820", true},
        {"", false},
        {":51820", false},
        {"198.41.0.4", false},
        {"198.41.0.4:", false},
        {"198.41.0.4:0", false},
        {"198.41.0.4:65536", false},
        {"198.41.0.4:+1", false},
        {"198.41.0.4:51820-51821", false},
        {"198.41.0:51820", false},
        {"[198.41.0.4]:51820", false},
        {"2001:db8::4:51820", false},
        {"[2001:db8::4]", false},
        {"[2001:db8::4:51820", false},
        {"[]:51820", false},
        {"host.example:51820", false},
        {"198.41.0.4:51820 ", false},
    };
    for (const auto& row : rows) {
        INFO(row.text);
        CHECK(is_gang_endpoint(row.text) == row.is_one);
    }
}

TEST_CASE("what a host tells of its end of a gang's network") {
    const std::string key(43, 'A');
    const auto body = [&](const std::string& endpoint) {
        return R"({"lease_epoch":3,"public_key":")" + key + R"(=","endpoint":")" + endpoint + R"("})";
    };
    const auto told = decode_gang_member(body("198.41.0.4:51820"));
    REQUIRE(told.ok());
    CHECK(told->lease_epoch == 3);
    CHECK(told->public_key == key + "=");
    CHECK(told->endpoint == "198.41.0.4:51820");
    const auto refused = decode_gang_member(body("host.example:51820"));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::invalid_field);
    CHECK(refused.error().pointer == "/endpoint");
}
