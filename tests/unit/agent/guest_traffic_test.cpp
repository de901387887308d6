// What is said to the kernel of guests' traffic, and understood of what nft says; that the rules do as they
// should is shown in tests/integration/agent/traffic_test.cpp.
#include "agent/guest_traffic.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "support/text_table.hpp"

using namespace fallow::agent;

namespace {

/// As nft 1.0.6 says it, with another table's objects beside.
const char* const ruleset = R"({"nftables": [
  {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
  {"table": {"family": "inet", "name": "gate", "handle": 1}},
  {"counter": {"family": "inet", "name": "lease_9", "table": "gate", "handle": 1, "packets": 1,
     "bytes": 1}},
  {"table": {"family": "inet", "name": "traffic", "handle": 2}},
  {"counter": {"family": "inet", "name": "lease_1", "table": "traffic", "handle": 5, "packets": 8,
     "bytes": 12345}},
  {"counter": {"family": "inet", "name": "lease_1.refused", "table": "traffic", "handle": 6,
     "packets": 2, "bytes": 3000}},
  {"quota": {"family": "inet", "name": "lease_1", "table": "traffic", "handle": 7, "bytes": 13000,
     "used": 15345, "inv": true}},
  {"counter": {"family": "inet", "name": "lease_2", "table": "traffic", "handle": 8, "packets": 0,
     "bytes": 0}},
  {"counter": {"family": "inet", "name": "lease_2.refused", "table": "traffic", "handle": 9,
     "packets": 0, "bytes": 0}},
  {"quota": {"family": "inet", "name": "lease_2", "table": "traffic", "handle": 10,
     "bytes": 9223372036854775807, "used": 0, "inv": true}},
  {"map": {"family": "inet", "name": "guests", "table": "traffic", "type": "ifname", "handle": 3,
     "map": "verdict",
           "elem": [["g0", {"goto": {"target": "lease_1"}}], ["g1", {"accept": null}], ["g2",
     {"goto": {"target": "lease_1"}}]]}},
  {"chain": {"family": "inet", "table": "traffic", "name": "lease_1", "handle": 11}},
  {"rule": {"family": "inet", "table": "traffic", "chain": "lease_1", "handle": 12,
     "expr": [{"quota": "lease_1"}]}}]})";

using Steps = std::vector<std::string>;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("what nft lists is understood, and another table's objects are not taken for ours") {
    const GateTraffic found = parse_traffic(ruleset);
    CHECK(found.is_there);
    REQUIRE(found.leases.size() == 2);
    CHECK(found.leases.at("lease_1") == GuestTraffic{12'345, 13'000, true});
    CHECK(found.leases.at("lease_2") == GuestTraffic{0, {}, false});
    CHECK(found.lease_at ==
          std::map<std::string, std::string>{{"g0", "lease_1"}, {"g1", ""}, {"g2", "lease_1"}});
    CHECK_FALSE(parse_traffic(R"({"nftables": []})").is_there);
    for (const char* odd :
         {"", "{}", "[]", R"({"nftables": [{"counter": {"table": "traffic", "name": 1}}]})"})
        CHECK_THROWS_AS(parse_traffic(odd), std::runtime_error);
}

TEST_CASE("a lease's count begins where it was, and is left alone when it is there") {
    const GateTraffic now = parse_traffic(ruleset);
    CHECK(meter_rules({"lease_3", 77, 500}, now).steps() ==
          Steps{"add counter inet traffic lease_3 { packets 0 bytes 77 }",
                "add counter inet traffic lease_3.refused { packets 0 bytes 0 }",
                "add chain inet traffic lease_3",
                "add quota inet traffic lease_3 { over 500 bytes used 77 bytes }",
                "add rule inet traffic lease_3 quota name \"lease_3\" counter name \"lease_3.refused\" "
                "reject with icmpx admin-prohibited",
                "add rule inet traffic lease_3 counter name \"lease_3\" accept"});
    CHECK(meter_rules({"lease_1", 99'999, 13'000}, now).empty());
    CHECK(meter_rules({"lease_2", 0, {}}, now).empty());
    CHECK(meter_rules({"lease_1", 0, 20'000}, now).steps() ==
          Steps{"flush chain inet traffic lease_1", "delete quota inet traffic lease_1",
                "add quota inet traffic lease_1 { over 20000 bytes used 12345 bytes }",
                "add rule inet traffic lease_1 quota name \"lease_1\" counter name \"lease_1.refused\" "
                "reject with icmpx admin-prohibited",
                "add rule inet traffic lease_1 counter name \"lease_1\" accept"});
    CHECK(contains(meter_rules({"lease_1", 0, {}}, now).steps().at(2), "over 9223372036854775807 bytes"));
    // The kernel takes no quota of which more is used than there is.
    CHECK(
        contains(meter_rules({"lease_1", 0, 9'000}, now).steps().at(2), "over 9000 bytes used 9000 bytes"));
}

TEST_CASE("an interface leads to the lease of its last guest") {
    const GateTraffic now = parse_traffic(ruleset);
    CHECK(guest_rules("g0", "lease_1", now).empty());
    CHECK(guest_rules("g3", "lease_1", now).steps() ==
          Steps{"add element inet traffic guests { \"g3\" : goto lease_1 }"});
    for (const std::string taken : {"g0", "g1"})
        CHECK(guest_rules(taken, "lease_2", now).steps() ==
              Steps{"delete element inet traffic guests { \"" + taken + "\" }",
                    "add element inet traffic guests { \"" + taken + "\" : goto lease_2 }"});
}

TEST_CASE("a lease is forgotten with all its interfaces, and nobody else's") {
    const GateTraffic now = parse_traffic(ruleset);
    CHECK(forget_rules("lease_1", now).steps() ==
          Steps{"delete element inet traffic guests { \"g0\" }",
                "delete element inet traffic guests { \"g2\" }", "flush chain inet traffic lease_1",
                "delete chain inet traffic lease_1", "delete quota inet traffic lease_1",
                "delete counter inet traffic lease_1", "delete counter inet traffic lease_1.refused"});
    CHECK(forget_rules("lease_3", now).empty());
}

TEST_CASE("what the rules make of a gate is known without asking nft") {
    const GateTraffic now = parse_traffic(ruleset);
    const GateTraffic fresh = with_guest("g1", "lease_3", with_meter({"lease_3", 77, 500}, now));
    CHECK(fresh.leases.at("lease_3") == GuestTraffic{77, 500, false});
    CHECK(fresh.lease_at.at("g1") == "lease_3");
    CHECK(meter_rules({"lease_3", 77, 500}, fresh).empty());
    CHECK(guest_rules("g1", "lease_3", fresh).empty());
    const GateTraffic changed = with_meter({"lease_1", 0, 20'000}, now);
    CHECK(changed.leases.at("lease_1") == GuestTraffic{12'345, 20'000, true});
    const GateTraffic rest = without_lease("lease_1", now);
    CHECK_FALSE(rest.leases.contains("lease_1"));
    CHECK(rest.lease_at == std::map<std::string, std::string>{{"g1", ""}});
    CHECK(forget_rules("lease_1", rest).empty());
}

TEST_CASE("what is no name never becomes part of the rules") {
    for (const char* name : {"", "lease_1; flush ruleset", "lease 1", "lease\n1", "LEASE", "a.refused"}) {
        INFO(name);
        CHECK_THROWS_AS(meter_rules({name}, {}), std::runtime_error);
        CHECK_THROWS_AS(guest_rules("g0", name, {}), std::runtime_error);
        CHECK_THROWS_AS(forget_rules(name, {}), std::runtime_error);
    }
}

TEST_CASE("the renter is told at 90 % and when something was refused") {
    for (const auto& row : fallow::testing::text_table(R"(
        sent     | limit    | refused | percent | says
        0        | 10485760 | no      | -       | -
        9437183  | 10485760 | no      | -       | -
        9437184  | 10485760 | no      | 90      | is used (9 of 10 MiB)
        10485760 | 10485760 | no      | 90      | is used (10 of 10 MiB)
        10485000 | 10485760 | yes     | 100     | used up (9 of 10 MiB)
        5        | -        | no      | -       | -
        0        | 0        | no      | -       | -
        0        | 0        | yes     | 100     | allows no traffic
    )")) {
        INFO(row["sent"] << " of " << row["limit"]);
        GuestTraffic traffic{row.number("sent"), {}, row["refused"] == "yes"};
        if (row["limit"] != "-") traffic.bytes_max = row.number("limit");
        const auto notice = traffic_notice(traffic);
        CHECK((notice ? std::to_string(notice->percent) : "-") == row["percent"]);
        if (notice) CHECK(contains(notice->text, row["says"]));
        if (notice) CHECK(notice->text.ends_with('\n'));
    }
}
