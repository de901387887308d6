// How the way to the server is measured, over one that is played: what it moves in which time.
#include "agent/network_speed.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "agent/card_json.hpp"
#include "agent/server_link.hpp"
#include "agent/state.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;
constexpr std::int64_t hour_ms = 3600LL * 1000;
constexpr std::int64_t day_ms = 24 * hour_ms;

struct FakeTime {
    std::int64_t us = 0;
    std::int64_t chance_percent = 0;  ///< of what could be waited
    [[nodiscard]] NetworkClock clock() {
        return {.boot_ms = [this] { return us / 1000; },
                .unix_ms = [this] { return day_ms * 365 + us / 1000; },
                .random = [this](std::int64_t most) { return most * chance_percent / 100; }};
    }
};

/// A way with a speed for each direction. Time passes with what it moves, and a little before.
class FakePath : public NetworkPath {
  public:
    FakePath(FakeTime& time, std::int64_t down, std::int64_t up) : down_(down), up_(up), time_(time) {}

    Moved download(std::int64_t bytes, std::stop_token) override {
        downloads.push_back(bytes);
        return move(bytes, down_);
    }
    Moved upload(std::int64_t bytes, std::stop_token) override {
        uploads.push_back(bytes);
        if (on_upload) on_upload();
        return move(bytes, up_);
    }

    std::vector<std::int64_t> downloads, uploads;
    std::function<void()> on_upload;

  private:
    [[nodiscard]] Moved move(std::int64_t bytes, std::int64_t bytes_per_s) {
        constexpr std::int64_t way_us = 40'000;
        const std::int64_t us = bytes * 1'000'000 / bytes_per_s;
        time_.us += way_us + us;
        return {bytes, us};
    }

    std::int64_t down_, up_;
    FakeTime& time_;
};

bool measure(NetworkKeeper& keeper, NetworkPath& path, bool is_leased = false) {
    return keeper.measure_if_due(path, [&] { return is_leased; }, {});
}

}  // namespace

TEST_CASE("transfers grow until one lasts half a second, and the better of two counts") {
    struct Row {
        std::int64_t bytes_per_s;
        std::vector<std::int64_t> sizes;
    };
    const std::vector<Row> rows{
        {100 * kib, {256 * kib, 256 * kib}},                          // 2.6 s
        {512 * kib, {256 * kib, 256 * kib}},                          // exactly half a second
        {600 * kib, {256 * kib, mib, mib}},                           // 0.43 s, then 1.7 s
        {12 * mib, {256 * kib, mib, 4 * mib, 16 * mib, 16 * mib}},    // 1.3 s
        {1000 * mib, {256 * kib, mib, 4 * mib, 16 * mib, 16 * mib}},  // the most there is: 16 ms
    };
    for (const Row& row : rows) {
        INFO(row.bytes_per_s);
        FakeTime time;
        FakePath path(time, row.bytes_per_s, 512 * kib);
        const auto speed = measure_network(path, time.clock(), {});
        REQUIRE(speed);
        CHECK(path.downloads == row.sizes);
        CHECK(path.uploads == std::vector<std::int64_t>{256 * kib, 256 * kib});
        CHECK(speed->down_bytes_per_s == Approx(static_cast<double>(row.bytes_per_s)).epsilon(0.001));
        CHECK(speed->up_bytes_per_s == 512 * kib);
        CHECK(speed->measured_unix_ms == time.clock().unix_ms());
    }
}

TEST_CASE("a way that is too slow to be measured again is measured once") {
    FakeTime time;
    FakePath path(time, 10 * kib, 20 * kib);  // 25.6 s and 12.8 s for the least
    const auto speed = measure_network(path, time.clock(), {});
    REQUIRE(speed);
    CHECK(path.downloads.size() == 1);
    CHECK(path.uploads.size() == 2);
    CHECK(speed->down_bytes_per_s == 10 * kib);
    CHECK(speed->up_bytes_per_s == 20 * kib);
}

TEST_CASE("the network is measured at a moment of the first hour, and a day later again") {
    const TemporaryFolder folder;
    FakeTime time;
    time.chance_percent = 40;
    NetworkKeeper keeper(folder.path(), hour_ms, time.clock());
    FakePath path(time, 50 * mib, 20 * mib);
    CHECK(keeper.due_in_ms() == hour_ms * 2 / 5);
    CHECK_FALSE(measure(keeper, path));
    CHECK_FALSE(kept_network_speed(folder.path()));
    time.us += hour_ms * 1000;
    CHECK(measure(keeper, path));
    const auto kept = kept_network_speed(folder.path());
    REQUIRE(kept);
    CHECK(kept->down_bytes_per_s == 50 * mib);
    CHECK(kept->up_bytes_per_s == 20 * mib);
    CHECK(keeper.due_in_ms() == day_ms);
    CHECK_FALSE(measure(keeper, path));

    // The next agent knows of it, and one that comes much later begins as the first did.
    time.us += 2 * hour_ms * 1000;
    const NetworkKeeper next(folder.path(), hour_ms, time.clock());
    CHECK(next.due_in_ms() == Approx(static_cast<double>(day_ms - 2 * hour_ms)).margin(5));
    time.us += day_ms * 1000;
    CHECK(NetworkKeeper(folder.path(), hour_ms, time.clock()).due_in_ms() == hour_ms * 2 / 5);
    write_file_atomically(folder.path() / "network.json", "{}");
    CHECK_FALSE(kept_network_speed(folder.path()));
}

TEST_CASE("the network is not measured beside a lease, and a lease that begins ends it") {
    const TemporaryFolder folder;
    FakeTime time;
    NetworkKeeper keeper(folder.path(), 0, time.clock());
    FakePath path(time, 50 * mib, 20 * mib);
    CHECK_FALSE(measure(keeper, path, true));
    CHECK(path.downloads.empty());
    CHECK(keeper.due_in_ms() == 10 * 60 * 1000);
    time.us += 10LL * 60 * 1'000'000;
    path.on_upload = [&] { keeper.yield(); };
    CHECK_FALSE(measure(keeper, path));
    CHECK(path.uploads.size() == 1);
    CHECK_FALSE(kept_network_speed(folder.path()));
    CHECK(keeper.due_in_ms() == 10 * 60 * 1000);
}

TEST_CASE("a server that has no room is asked again later, and ever more rarely") {
    const TemporaryFolder folder;
    FakeTime time;
    time.chance_percent = 50;
    NetworkKeeper keeper(folder.path(), 0, time.clock());
    FakePath path(time, 50 * mib, 20 * mib);
    std::int64_t retry_after_ms = 1000;
    path.on_upload = [&] { throw ServerError(429, "rate_limited", "later", retry_after_ms); };
    const auto refused = [&] {
        time.us += keeper.due_in_ms() * 1000;
        CHECK_FALSE(measure(keeper, path));
        return keeper.due_in_ms();
    };
    constexpr std::int64_t minute_ms = 60'000;
    // Half as long again, which is what chance adds here.
    CHECK(refused() == minute_ms * 3 / 2);
    CHECK(refused() == 2 * minute_ms * 3 / 2);
    CHECK(refused() == 4 * minute_ms * 3 / 2);
    retry_after_ms = 2 * hour_ms;
    CHECK(refused() == 3 * hour_ms);
    retry_after_ms = 0;
    for (int i = 0; i < 10; ++i)
        static_cast<void>(refused());
    CHECK(refused() == hour_ms * 3 / 2);

    path.on_upload = [] { throw ServerError(404, "route_not_found", "an older server"); };
    CHECK(refused() == day_ms * 3 / 2);
    path.on_upload = [] { throw std::runtime_error("the connection broke"); };
    CHECK(refused() == hour_ms * 3 / 2);
    path.on_upload = nullptr;
    time.us += keeper.due_in_ms() * 1000;
    CHECK(measure(keeper, path));
}

TEST_CASE("the inventory tells what was measured, and nothing else") {
    HostDescription host;
    CHECK(encode_inventory(host, {}, {}).find(R"("network_speed":null)") != std::string::npos);
    host.network_speed = NetworkSpeed{1, 2, 3000};
    CHECK(encode_inventory(host, {}, {})
              .find(R"("network_speed":{"down_bytes_per_s":2,"measured_at":"1970-01-01T00:00:03.000Z",)"
                    R"("up_bytes_per_s":1})") != std::string::npos);
}
