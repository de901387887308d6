// Who may measure its network against a server, when; and which addresses say where a host is.
#include "api/network_tests.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "api/public_address.hpp"
#include "http/problem.hpp"

using namespace fallow;
using namespace fallow::api;

namespace {

constexpr std::int64_t mib = 1 << 20;

struct Room {
    explicit Room(std::int64_t hosts_max = 2, std::int64_t bytes_per_s = 1LL << 40)
        : tests(hosts_max, bytes_per_s, [this] { return now; }) {}

    /// How many seconds the host is told to wait; 0: it may. The transfer ends at once.
    std::int64_t wait_of(int host, std::int64_t bytes) {
        const auto place = tests.begin(id(host), bytes);
        return place ? 0 : seconds_of(place.error());
    }
    static std::int64_t seconds_of(const Error& error) {
        CHECK(error.code == ErrorCode::rate_limited);
        const auto* facts = dynamic_cast<const http::RetryAfter*>(error.facts.get());
        REQUIRE(facts != nullptr);
        return facts->seconds;
    }
    static HostId id(int host) { return HostId(RawId{1, static_cast<std::uint64_t>(host)}); }

    Time now{1'000'000};
    NetworkTests tests;
};

}  // namespace

TEST_CASE("some hosts measure at once, and one that is done makes room") {
    Room room;
    CHECK(room.wait_of(1, mib) == 0);
    CHECK(room.wait_of(2, mib) == 0);
    CHECK(room.wait_of(3, mib) == 60);
    // Between two transfers a host keeps its place for a while.
    room.now = room.now + Millis(4999);
    CHECK(room.wait_of(3, mib) == 60);
    CHECK(room.wait_of(1, mib) == 0);
    room.now = room.now + Millis(1);
    CHECK(room.wait_of(3, mib) == 0);
    CHECK(room.wait_of(2, mib) == 60);
}

TEST_CASE("a host moves one thing at a time, for a minute") {
    Room room(1);
    {
        const auto place = room.tests.begin(Room::id(1), mib);
        REQUIRE(place);
        CHECK(room.wait_of(1, mib) == 1);
        // However long it takes, it is not forgotten.
        room.now = room.now + seconds(60);
        CHECK(room.wait_of(2, mib) == 60);
    }
    CHECK(room.wait_of(1, mib) == 0);
    room.now = room.now + Millis(1);
    CHECK(room.wait_of(1, mib) == 60);
    room.now = room.now + seconds(5);
    CHECK(room.wait_of(1, mib) == 0);
}

TEST_CASE("what a host moves is bounded, and comes back with the hours") {
    Room room;
    for (int i = 0; i < 12; ++i)
        CHECK(room.wait_of(1, 16 * mib) == 0);
    CHECK(room.wait_of(1, 16 * mib) == 20 * 60);
    CHECK(room.wait_of(1, 1) == 75);  // counts as 1 MiB
    CHECK(room.wait_of(2, 16 * mib) == 0);
    room.now = room.now + minutes(20);
    CHECK(room.wait_of(1, 16 * mib) == 0);
    CHECK(room.wait_of(1, 1) == 75);
    room.now = room.now + hours(4);
    for (int i = 0; i < 12; ++i)
        CHECK(room.wait_of(1, 16 * mib) == 0);
    CHECK(room.wait_of(1, 16 * mib) == 20 * 60);
}

TEST_CASE("what all hosts move is bounded on average, and no measurement is broken off by it") {
    Room room(4, mib);
    CHECK(room.wait_of(1, 16 * mib) == 0);
    CHECK(room.wait_of(1, 16 * mib) == 0);
    CHECK(room.wait_of(2, mib) == 32);
    room.now = room.now + Millis(31'999);
    CHECK(room.wait_of(2, mib) == 1);
    room.now = room.now + Millis(1);
    CHECK(room.wait_of(2, mib) == 0);
}

TEST_CASE("a server may measure nobody, or many one after the other") {
    Room none(0);
    CHECK(none.wait_of(1, mib) == 24 * 3600);
    Room room(1);
    for (int host = 0; host < 5000; ++host) {
        room.now = room.now + seconds(100);
        CHECK(room.wait_of(host, mib) == 0);
    }
}

TEST_CASE("an address is a host's when it is one of the public internet") {
    struct Row {
        const char* seen;
        const char* is;
    };
    const std::vector<Row> rows{{"198.41.0.4", "198.41.0.4"},
                                {"9.255.255.255", "9.255.255.255"},
                                {"10.0.0.1", ""},
                                {"100.63.255.255", "100.63.255.255"},
                                {"100.64.0.1", ""},
                                {"100.127.255.255", ""},
                                {"100.128.0.0", "100.128.0.0"},
                                {"127.0.0.1", ""},
                                {"169.254.1.1", ""},
                                {"172.15.0.1", "172.15.0.1"},
                                {"172.31.0.1", ""},
                                {"192.168.1.1", ""},
                                {"198.18.0.1", ""},
                                {"198.19.255.255", ""},
                                {"203.0.113.9", ""},
                                {"224.0.0.1", ""},
                                {"255.255.255.255", ""},
                                {"0.0.0.0", ""},
                                {"2a01:4f8:1:2:a:b:c:d", "2a01:4f8:1:2::/64"},
                                {"2a01:4f8:1:2::1", "2a01:4f8:1:2::/64"},
                                {"2001:470::1", "2001:470::/64"},
                                {"2001:db8::1", ""},
                                {"2001:0:4137::1", ""},
                                {"2002:a00::1", ""},
                                {"3fff:fff::1", ""},
                                {"::1", ""},
                                {"fe80::1", ""},
                                {"fd00::1", ""},
                                {"::ffff:198.41.0.4", ""},
                                {"", ""},
                                {"198.41.0.4:443", ""},
                                {"somewhere", ""}};
    for (const Row& row : rows) {
        INFO(row.seen);
        CHECK(public_address(row.seen) == row.is);
    }
}
