// What an owner may write about guests' packets, and what becomes of it.
#include "agent/egress.hpp"

#include <catch2/catch.hpp>

#include "support/text_table.hpp"

using namespace fallow::agent;

TEST_CASE("Destinations as an owner writes them") {
    for (const auto& row : fallow::testing::text_table(R"(
        text                 | means
        10.1.0.0/16          | 10.1.0.0/16
        10.1.2.3             | 10.1.2.3/32
        10.1.2.3:443         | 10.1.2.3/32:443
        10.0.0.0/8:80        | 10.0.0.0/8:80
        fd00::/8             | fd00::/8
        fd00::5              | fd00::5/128
        [fd00::5]            | fd00::5/128
        [fd00::5]:443        | [fd00::5/128]:443
        [fd00::/8]:443       | [fd00::/8]:443
        0.0.0.0/0            | 0.0.0.0/0
        10.1.2.3/33          | -
        10.1.2.3/-1          | -
        10.1.2.3/            | -
        10.1.2               | -
        10.1.2.3:            | -
        10.1.2.3:0           | -
        10.1.2.3:65536       | -
        fd00::/129           | -
        [fd00::5             | -
        [fd00::5]443         | -
        [10.1.2.3]           | -
        example.org          | -
        10.1.2.3 accept      | -
    )")) {
        INFO(row["text"]);
        const auto one = parse_destination(row["text"]);
        CHECK((one ? text_of(*one) : "-") == row["means"]);
    }
    CHECK_FALSE(parse_destination(""));
}

TEST_CASE("What no policy opens") {
    for (const auto& row : fallow::testing::text_table(R"(
        destination      | closed
        169.254.169.254  | yes
        169.0.0.0/8      | yes
        127.0.0.1        | yes
        224.0.0.251      | yes
        255.255.255.255  | yes
        198.19.0.2       | yes
        0.0.0.0/0        | yes
        10.0.0.0/8       | no
        192.168.7.2:22   | no
        8.8.8.8          | no
        198.20.0.1       | no
        ::1              | yes
        ::ffff:10.1.2.3  | yes
        64:ff9b::1       | yes
        fe80::1          | yes
        ff02::fb         | yes
        ::/0             | yes
        fd12::/16        | no
        2a00:1450::99    | no
    )")) {
        INFO(row["destination"]);
        CHECK(is_closed_for_good(*parse_destination(row["destination"])) == (row["closed"] == "yes"));
    }
}

TEST_CASE("A guest asks resolvers that it can reach") {
    const EgressPolicy policy;
    CHECK(guest_resolv_conf(
              policy, "search lan\nnameserver 192.168.1.1\nnameserver 8.8.4.4\nnameserver fe80::1\n") ==
          "nameserver 8.8.4.4\noptions timeout:2\n");
    CHECK(guest_resolv_conf(policy, "nameserver 127.0.0.53") ==
          "nameserver 9.9.9.9\nnameserver 1.1.1.1\nnameserver 2620:fe::fe\noptions timeout:2\n");
    EgressPolicy own;
    own.dns = {"10.0.0.53"};
    CHECK(guest_resolv_conf(own, "nameserver 8.8.4.4\n") == "nameserver 10.0.0.53\noptions timeout:2\n");
}

TEST_CASE("Links have addresses of their own") {
    CHECK(uplink_addresses(0).near_ipv4 == "198.18.0.1");
    CHECK(uplink_addresses(uplinks_max - 1).far_ipv4 == "198.18.15.254");
    CHECK(guest_addresses(65).far_ipv4 == "198.19.1.6");
    CHECK(guest_addresses(guests_max - 1).far_ipv4 == "198.19.63.254");
    CHECK(guest_addresses(255).far_ipv6 == "fd66:6c77:1:ff::2");
}

TEST_CASE("An owner's deny comes before an allow, and both after what is closed for good") {
    EgressPolicy policy;
    policy.allow = {*parse_destination("10.1.2.3:443")};
    policy.deny = {*parse_destination("8.8.8.0/24")};
    const std::string rules = gate_rules(policy, {"203.0.113.9"});
    const auto at = [&](const char* text) {
        INFO(text);
        const auto found = rules.find(text);
        CHECK(found != rules.npos);
        return found;
    };
    const auto never = at("169.254.0.0/16");
    const auto host = at("ip daddr 203.0.113.9/32 reject");
    const auto deny = at("ip daddr 8.8.8.0/24 reject");
    const auto allow = at("ip daddr 10.1.2.3/32 meta l4proto { tcp, udp } th dport 443 accept");
    const auto closed = at("192.168.0.0/16");
    CHECK(never < host);
    CHECK(host < deny);
    CHECK(deny < allow);
    CHECK(allow < closed);
}
