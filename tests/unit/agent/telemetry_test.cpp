// The whole way of a GPU's figures: the driver's stand-in, the agent's child, minutes, the server's answer,
// and the page; under a clock that the test moves.
#include "agent/telemetry.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>

#include "agent/server_link.hpp"
#include "fake_cards.hpp"
#include "gpu_fixture.hpp"

using namespace fallow::agent;
using Catch::Matchers::Contains;
using fallow::agent::testing::fake_nvml;
using fallow::agent::testing::TemporaryFolder;
using fallow::agent::testing::until;

namespace {

constexpr std::int64_t minute = 60'000;
constexpr std::int64_t start = 1'800'000'000'000 / minute * minute;

MeasuredLease a_lease(const std::string& id) {
    return {id, "job_of_" + id, std::string(64, 'c'), {{"card_1", "GPU-one", "nvml", "gpu", 0}}};
}

/// An agent's surroundings: which leases run, what the time is, what the server says.
struct Host {
    explicit Host(const std::string& library) {
        parts.leases = [this] {
            const std::lock_guard lock(mutex);
            ++rounds;
            return leases;
        };
        parts.cards = [] { return std::vector<CardFacts>(); };
        parts.server_unix_ms = [this] { return now.load(); };
        parts.pid_of = [](const std::string&) { return 0; };
        parts.send = [this](const std::string&, const std::vector<CardMinutes>& cards, std::stop_token) {
            const std::lock_guard lock(mutex);
            if (refuses) throw ServerError(422, "invalid_field", "not this one");
            sent.insert(sent.end(), cards.begin(), cards.end());
        };
        parts.gpus.program = fallow::testing::bin_dir() + "/fallow-agent";
        parts.gpus.nvml_library = library;
        parts.gpus.period_ms = 100;
        // A port that was free a moment ago.
        port = MetricsListener("127.0.0.1:0", [] { return std::string(); }).port();
        parts.metrics_address = "127.0.0.1:" + std::to_string(port);
    }

    void run(std::vector<MeasuredLease> these) {
        const std::lock_guard lock(mutex);
        leases = std::move(these);
    }
    /// Each is a measurement of what was read since the one before.
    void await_rounds(int count) {
        {
            const std::lock_guard lock(mutex);
            rounds = 0;
        }
        until("some rounds", [&] {
            const std::lock_guard lock(mutex);
            return rounds > count;
        });
    }
    [[nodiscard]] std::string page() const {
        const fallow::guard::Descriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        const std::string request = "GET /metrics HTTP/1.1\r\n\r\n";
        REQUIRE(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
        std::string text;
        std::array<char, 4096> piece{};
        for (ssize_t n = 0; (n = ::recv(fd.get(), piece.data(), piece.size(), 0)) > 0;)
            text.append(piece.data(), static_cast<std::size_t>(n));
        return text;
    }
    /// The child reads by then, and the lease has been there for some rounds.
    void await_measured(const std::string& lease, int percent) {
        const std::string shown = "fallow_lease=\"" + lease + "\",fallow_job=\"job_of_" + lease + "\"} " +
                                  std::to_string(percent);
        until("the card to be shown with its lease",
              [&] { return page().find(shown + "\n") != std::string::npos; });
        await_rounds(3);
    }
    std::vector<CardMinutes> all_sent() {
        const std::lock_guard lock(mutex);
        return sent;
    }

    std::mutex mutex;
    std::vector<MeasuredLease> leases;
    std::vector<CardMinutes> sent;
    int rounds = 0;
    std::uint16_t port = 0;
    bool refuses = false;
    std::atomic<std::int64_t> now = start;
    TelemetryParts parts;
};

}  // namespace

TEST_CASE("what a lease uses of a GPU is sent when it ends, and is the card's when others share it") {
    const TemporaryFolder folder;
    Host host(fake_nvml(folder, "-DFAKE_USED_BYTES='(9ull<<30)' -DFAKE_BUSY=12"));
    host.run({a_lease("lease_1")});
    const Telemetry telemetry(host.parts);
    host.await_measured("lease_1", 12);
    CHECK(host.all_sent().empty());  // its minute is not over
    host.run({});
    until("the minute to be sent", [&] { return !host.all_sent().empty(); });
    const CardMinutes alone = host.all_sent().at(0);
    CHECK(alone.of == UseOf{.lease_id = "lease_1",
                            .card_id = "card_1",
                            .source = "nvml",
                            .shared = false,
                            .memory_bytes = 80LL << 30});
    REQUIRE(alone.minutes.size() == 1);
    CHECK(alone.minutes[0].at_unix_ms == start);
    CHECK(alone.minutes[0].samples > 0);
    CHECK(alone.minutes[0].utilization_thousandths == UseLevel{120, 120});
    CHECK(alone.minutes[0].memory_used_bytes == UseLevel{9LL << 30, 9LL << 30});
    CHECK(alone.minutes[0].power_milliwatts == UseLevel{93'400, 93'400});
    CHECK(alone.minutes[0].temperature_celsius == UseLevel{41, 41});

    host.run({a_lease("lease_2"), a_lease("lease_3")});
    host.await_rounds(3);
    host.now = start + minute;
    until("both to be sent", [&] { return host.all_sent().size() >= 3; });
    CHECK(host.all_sent().at(1).of.shared);
    CHECK(host.all_sent().at(2).of.shared);
}

TEST_CASE("what the server refuses is given up, and the page says how much that was") {
    const TemporaryFolder folder;
    Host host(fake_nvml(folder, ""));
    host.refuses = true;
    host.run({a_lease("lease_1")});
    const Telemetry telemetry(host.parts);
    host.await_measured("lease_1", 73);
    host.run({});
    until("the minute to be given up", [&] {
        return host.page().find("fallow_telemetry_minutes_dropped_total 1\n") != std::string::npos;
    });
    CHECK_THAT(host.page(), Contains("fallow_telemetry_minutes_waiting 0\n"));
    CHECK(host.all_sent().empty());
}
