// The private network of a gang, as values.
#include "agent/gang_network.hpp"

#include <catch2/catch.hpp>

#include "agent/crypto.hpp"
#include "support/text_table.hpp"

using namespace fallow::agent;

namespace {

const std::string key_a = std::string(43, 'A') + "=";
const std::string key_b = std::string(43, 'B') + "=";
const std::string key_c = std::string(43, 'C') + "=";

Gang a_gang(std::int64_t rank) {
    return {
        rank,
        3,
        {{0, key_a, "198.41.0.4:51820"}, {1, key_b, "[2a01:db0::4]:51821"}, {2, key_c, "8.8.4.4:51822"}}};
}

std::vector<Destination> networks(const std::vector<std::string>& texts) {
    std::vector<Destination> found;
    for (const std::string& text : texts)
        found.push_back(*parse_destination(text));
    return found;
}

}  // namespace

TEST_CASE("where other hosts reach this one, as its owner writes it") {
    for (const auto& row : fallow::testing::text_table(R"(
        text                       | means
        198.41.0.4:51820           | 198.41.0.4 51820 51820
        198.41.0.4:51820-51827     | 198.41.0.4 51820 51827
        10.0.0.4:1-64              | 10.0.0.4 1 64
        [2001:db8::4]:51820        | 2001:db8::4 51820 51820
        [2001:db8::4]:65535-65535  | 2001:db8::4 65535 65535
        198.41.0.4                 | -
        198.41.0.4:                | -
        198.41.0.4:0               | -
        198.41.0.4:65536           | -
        198.41.0.4:51820-          | -
        198.41.0.4:51827-51820     | -
        10.0.0.4:1-65              | -
        198.41.0.4:5:51820         | -
        198.41.0.0/24:51820        | -
        2001:db8::4:51820          | -
        [2001:db8::4]              | -
        [2001:db8::4:51820         | -
        [198.41.0.4]:51820         | -
        host.example:51820         | -
    )")) {
        INFO(row["text"]);
        const auto one = parse_gang_endpoint(row["text"]);
        const std::string means = one ? one->address + " " + std::to_string(one->first_port) + " " +
                                            std::to_string(one->last_port)
                                      : "-";
        CHECK(means == row["means"]);
    }
    CHECK_FALSE(parse_gang_endpoint(""));
    CHECK(text_of({"198.41.0.4", 1, 2}, 2) == "198.41.0.4:2");
    CHECK(text_of({"2001:db8::4", 1, 2}, 1) == "[2001:db8::4]:1");
}

TEST_CASE("what a guest finds of its gang") {
    CHECK(gang_hosts_file(a_gang(1)) ==
          "127.0.0.1 localhost\n::1 localhost\n198.19.255.1 rank-0\n198.19.255.2 rank-1 job\n"
          "198.19.255.3 rank-2\n");
    const auto environment = gang_environment(a_gang(2));
    CHECK(environment.at("FALLOW_PEERS") == "rank-0,rank-1,rank-2");
    CHECK(environment.at("MASTER_ADDR") == "rank-0");
    CHECK(environment.at("MASTER_PORT") == "29500");
    CHECK(environment.at("NCCL_SOCKET_IFNAME") == "gang0");
    CHECK(environment.at("GLOO_SOCKET_IFNAME") == "gang0");
}

TEST_CASE("the addresses of a gang are those that a guest's other line never leads to") {
    const auto last = parse_destination(gang_address(15) + "/" + std::to_string(gang_prefix));
    REQUIRE(last);
    CHECK(lies_within(*parse_destination(gang_address(0)), *last));
    CHECK(is_closed_for_good(*last));
    // The gate takes packets of its own guests' addresses alone.
    const Destination of_guests = *parse_destination("198.19.0.0/18");
    CHECK(lies_within(*parse_destination(guest_addresses(0).far_ipv4), of_guests));
    CHECK(lies_within(*parse_destination(guest_addresses(guests_max - 1).far_ipv4), of_guests));
    CHECK_FALSE(lies_within(*last, of_guests));
    CHECK(gate_rules({}, {}).find("ip saddr != 198.19.0.0/18 drop\n") != std::string::npos);
}

TEST_CASE("an end knows each of the others by its key, and takes nothing from it but its own address") {
    CHECK(wireguard_config(a_gang(1), "private", 51'821) ==
          "[Interface]\nPrivateKey = private\nListenPort = 51821\n"
          "[Peer]\nPublicKey = " +
              key_a +
              "\nEndpoint = 198.41.0.4:51820\nAllowedIPs = 198.19.255.1/32\nPersistentKeepalive = 25\n"
              "[Peer]\nPublicKey = " +
              key_c +
              "\nEndpoint = 8.8.4.4:51822\nAllowedIPs = 198.19.255.3/32\nPersistentKeepalive = 25\n");
    CHECK(gang_guest_commands(1) ==
          "addr replace 198.19.255.2/27 dev gang0\nlink set dev gang0 mtu 1420 up\n");
    const std::string rules = gang_guest_rules(1);
    CHECK(rules.find("iifname \"gang0\" ip saddr 198.19.255.0/27 ip daddr 198.19.255.2 accept\n"
                     "iifname \"gang0\" drop\n") != std::string::npos);
    CHECK(rules.find("type filter hook forward priority 0; policy drop;\n") != std::string::npos);
}

TEST_CASE("a host sends to public addresses, and to those that its owner has opened") {
    struct Row {
        const char* endpoint;
        std::vector<std::string> opened;
        bool is_open;
    };
    const Row rows[] = {
        {"198.41.0.4:51820", {}, true},
        {"[2a01:db0::4]:51820", {}, true},
        {"10.1.2.3:51820", {}, false},
        {"10.1.2.3:51820", {"10.0.0.0/8"}, true},
        {"10.1.2.3:51820", {"10.1.2.3:51820"}, true},
        {"10.1.2.3:51821", {"10.1.2.3:51820"}, false},
        {"10.1.2.3:51820", {"192.168.0.0/16", "fd12::/48"}, false},
        {"[fd12::4]:51820", {"192.168.0.0/16", "fd12::/48"}, true},
        {"100.64.0.9:51820", {}, false},
        {"127.0.0.1:51820", {"0.0.0.0/0"}, false},
        {"169.254.169.254:80", {"0.0.0.0/0"}, false},
        {"198.19.0.2:51820", {"0.0.0.0/0"}, false},
        {"[::ffff:10.1.2.3]:51820", {"::/0"}, false},
        {"198.41.0.4", {}, false},
        {"198.41.0.4:51820\n[Peer]", {}, false},
        {"host.example:51820", {}, false},
    };
    for (const Row& row : rows) {
        INFO(row.endpoint << " with " << row.opened.size() << " opened");
        Gang gang = a_gang(0);
        gang.members[1].endpoint = row.endpoint;
        const auto closed = closed_member(gang, networks(row.opened));
        CHECK(closed.has_value() != row.is_open);
        if (closed) CHECK(closed->rank == 1);
        // Its own is nothing that it sends to.
        gang.rank = 1;
        CHECK_FALSE(closed_member(gang, {}));
    }
}

TEST_CASE("keys are WireGuard's, and new each time") {
    const TunnelKeys one = generate_tunnel_keys();
    const TunnelKeys other = generate_tunnel_keys();
    for (const std::string& key : {one.private_key, one.public_key, other.private_key, other.public_key}) {
        INFO(key);
        CHECK(is_tunnel_key(key));
    }
    CHECK(one.private_key != other.private_key);
    CHECK(one.public_key != other.public_key);
    CHECK(one.public_key != one.private_key);
    CHECK_FALSE(is_tunnel_key(""));
    CHECK_FALSE(is_tunnel_key(std::string(44, 'A')));
    CHECK_FALSE(is_tunnel_key(std::string(42, 'A') + "\n="));
}
