#include "api/events.hpp"

#include <catch2/catch.hpp>

#include "api/polled_stream.hpp"

using namespace fallow;
using namespace fallow::api;

TEST_CASE("a journal record is read into its entries") {
    const auto items = parse_journal_record(
        R"({"v":1,"entries":[{"t":"leases","id":"lease_1","event":"lease.running","reason":null,)"
        R"("actor":"key_1",)"
        R"("orgs":["org_00000000000000000000000003"],"row":{"z":1,"a":[true,"x"]}},)"
        R"({"t":"leases","id":"lease_2","event":"lease.ended","reason":"completed",)"
        R"("actor":"system","orgs":[],"row":{}}]})");
    REQUIRE(items.size() == 2);
    CHECK(items[0].table == "leases");
    CHECK(items[0].organizations == std::vector<OrganizationId>{OrganizationId(RawId{0, 3})});
    CHECK(items[0].row == R"({"z":1,"a":[true,"x"]})");
    CHECK_FALSE(items[0].reason.has_value());
    CHECK(items[1].reason == "completed");
}

TEST_CASE("a journal record that is none stops the reader") {
    CHECK_THROWS_AS(parse_journal_record("{}"), std::runtime_error);
    CHECK_THROWS_AS(parse_journal_record(R"({"v":3,"entries":[]})"), std::runtime_error);
    CHECK_THROWS_AS(parse_journal_record(R"({"v":1,"entries":[{"t":"leases"}]})"), std::runtime_error);
}

TEST_CASE("an event as the API shows it") {
    Event event{"main-12-0", Time(1000), {}};
    event.item = {"leases", "lease_1", "lease.ended", "completed", "key_1", {}, R"({"id":"lease_1"})"};
    const std::string json = event_json(event);
    CHECK(json ==
          R"({"id":"main-12-0","type":"lease.ended","at":"1970-01-01T00:00:01.000Z","actor":"key_1",)"
          R"("reason":"completed","object":{"kind":"lease","id":"lease_1"},"data":{"id":"lease_1"}})");
    CHECK(server_sent_event(event.id, event.item.event, json) ==
          "id: main-12-0\nevent: lease.ended\ndata: " + json + "\n\n");
    CHECK(server_sent_event("", "end", "{}") == "event: end\ndata: {}\n\n");
}
