// The log shipper between an engine's output and a server that behaves as the contract says, both in
// memory.
#include "agent/log_shipper.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <future>
#include <limits>
#include <mutex>
#include <vector>

using namespace fallow::agent;

namespace {

using Output = std::vector<std::pair<LogStream, std::string>>;
constexpr LogStream out = LogStream::standard_output;
constexpr LogStream err = LogStream::standard_error;
constexpr std::int64_t only_at_the_end = std::numeric_limits<std::int64_t>::max();

/// The contract's log: entries below the next sequence are ignored.
struct LogServer {
    std::int64_t next_sequence = 0;
    std::string standard_output;
    std::string standard_error;

    std::int64_t append(std::int64_t first, const std::vector<LogEntry>& entries) {
        for (const LogEntry& entry : entries) {
            if (first++ < next_sequence) continue;
            (entry.stream == err ? standard_error : standard_output) += entry.data;
            next_sequence = first;
        }
        return next_sequence;
    }
};

class Bench {
  public:
    Output output;
    LogServer server;
    LogPosition saved;
    int reads = 0;
    bool ended_at_once = true;
    std::function<void(std::int64_t)> before_reply = [](std::int64_t) {};
    std::function<void()> before_append = [] {};

    LogShipperParts parts() {
        LogShipperParts parts;
        parts.lease_id = "lease_x";
        parts.read = [this](bool, const LogDemuxer::OnData& on_data, std::stop_token) {
            ++reads;
            for (const auto& [stream, data] : output)
                if (!on_data(stream, data)) return;
        };
        parts.container_ended = [this] { return ended_at_once || reads >= 1; };
        parts.send = [this](std::int64_t first, const std::vector<LogEntry>& entries) {
            before_append();
            const std::int64_t next = server.append(first, entries);
            before_reply(next);
            return next;
        };
        parts.unix_ms = [] { return std::int64_t{0}; };
        parts.save = [this](const LogPosition& position) { saved = position; };
        parts.on_drained = [this] {
            const std::lock_guard lock(mutex_);
            drained_ = true;
            changed_.notify_all();
        };
        return parts;
    }

    bool wait_until_drained() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return drained_; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool drained_ = false;
};

}  // namespace

TEST_CASE("both streams arrive complete and in order") {
    Bench bench;
    std::string all;
    for (int i = 0; i < 5000; ++i) {
        bench.output.push_back({out, "line " + std::to_string(i) + "\n"});
        all += bench.output.back().second;
    }
    bench.output.push_back({err, "oops"});
    bench.output.push_back({out, std::string(3'000'000, 'x')});
    all += std::string(3'000'000, 'x');
    LogShipper shipper(bench.parts(), {});
    REQUIRE(bench.wait_until_drained());
    CHECK(bench.server.standard_output == all);
    CHECK(bench.server.standard_error == "oops");
    CHECK(bench.saved.next_sequence == bench.server.next_sequence);
    CHECK(bench.saved.consumed_bytes == static_cast<std::int64_t>(all.size() + 4));
    CHECK(bench.saved.pending.empty());
}

TEST_CASE("what is read again after a broken stream is not sent again") {
    Bench bench;
    bench.ended_at_once = false;
    bench.output = {{out, "once\n"}, {err, "only\n"}};
    LogShipper shipper(bench.parts(), {});
    REQUIRE(bench.wait_until_drained());
    CHECK(bench.reads == 2);
    CHECK(bench.server.standard_output == "once\n");
    CHECK(bench.server.standard_error == "only\n");
}

TEST_CASE("whether a container has ended is not asked before the first pass when it was started just now") {
    Bench bench;
    bench.output = {{out, "once\n"}};
    LogShipperParts parts = bench.parts();
    std::vector<int> asked_after;
    parts.has_just_started = true;
    parts.container_ended = [&] {
        asked_after.push_back(bench.reads);
        return true;
    };
    LogShipper shipper(std::move(parts), {});
    REQUIRE(bench.wait_until_drained());
    CHECK(asked_after == std::vector<int>{1});
    CHECK(bench.reads == 2);
    CHECK(bench.server.standard_output == "once\n");
}

TEST_CASE("an agent killed after sending and before hearing the answer neither loses nor repeats") {
    Bench first;
    first.output = {{out, "aa"}, {err, "b"}, {out, "cc"}};
    LogPosition at_kill;
    first.before_reply = [&](std::int64_t) { at_kill = first.saved; };
    {
        LogShipper shipper(first.parts(), {});
        REQUIRE(first.wait_until_drained());
    }
    REQUIRE(at_kill.pending.size() == 3);

    // By then the container has written more, right after what was sent.
    Bench second;
    second.server = first.server;
    second.output = {{out, "aa"}, {err, "b"}, {out, "ccdd"}, {out, "e"}};
    LogShipper shipper(second.parts(), at_kill);
    REQUIRE(second.wait_until_drained());
    CHECK(second.server.standard_output == "aaccdde");
    CHECK(second.server.standard_error == "b");
}

TEST_CASE("an agent killed before its piece arrived sends it again") {
    LogPosition at_kill;
    at_kill.pending = {2, 1};
    Bench bench;
    bench.output = {{out, "aa"}, {err, "b"}, {out, "cc"}};
    LogShipper shipper(bench.parts(), at_kill);
    REQUIRE(bench.wait_until_drained());
    CHECK(bench.server.standard_output == "aacc");
    CHECK(bench.server.standard_error == "b");
}

TEST_CASE("a server out of reach is asked again, one that refuses is not") {
    Bench patient;
    patient.output = {{out, "text"}};
    int tries = 0;
    patient.before_append = [&] {
        if (++tries == 1)
            throw fallow::sdk::TransportError(fallow::sdk::TransportErrorKind::refused, "no server");
        if (tries == 2) throw ServerError(503, "not_leader", "");
    };
    LogShipper first(patient.parts(), {});
    REQUIRE(patient.wait_until_drained());
    CHECK(tries == 3);
    CHECK(patient.server.standard_output == "text");

    Bench refused;
    refused.output = {{out, "text"}};
    refused.before_append = [] { throw ServerError(404, "not_found", ""); };
    LogShipper second(refused.parts(), {});
    REQUIRE(refused.wait_until_drained());
    CHECK(refused.server.standard_output.empty());
}

TEST_CASE("a line of the agent's own comes once, after what the job wrote, and moves no output") {
    Bench bench;
    bench.output = {{out, "aa"}, {err, "b"}};
    TrafficNotice due{90, "fallow: nearly\n"};
    LogShipperParts parts = bench.parts();
    parts.notice = [&] { return std::optional(due); };
    parts.notice_every_ms = only_at_the_end;
    {
        LogShipper shipper(parts, {});
        REQUIRE(bench.wait_until_drained());
    }
    CHECK(bench.server.standard_output == "aa");
    CHECK(bench.server.standard_error == "bfallow: nearly\n");
    CHECK(bench.saved == LogPosition{bench.server.next_sequence, 3, {}, 90, 0});

    // The next agent has told it already; more of it is another line.
    for (const bool is_more : {false, true}) {
        Bench later;
        later.server = bench.server;
        later.output = {{out, "aa"}, {err, "b"}, {out, "cc"}};
        if (is_more) due = {100, "fallow: all\n"};
        LogShipperParts more = later.parts();
        more.notice = [&] { return std::optional(due); };
        more.notice_every_ms = only_at_the_end;
        LogShipper shipper(more, bench.saved);
        REQUIRE(later.wait_until_drained());
        CHECK(later.server.standard_output == "aacc");
        CHECK(later.server.standard_error ==
              std::string("bfallow: nearly\n") + (is_more ? "fallow: all\n" : ""));
    }
}

TEST_CASE("a job that goes on is told while it runs") {
    Bench bench;
    std::promise<void> told;
    bench.before_reply = [&](std::int64_t) {
        if (bench.server.standard_error == "fallow: all\n") told.set_value();
    };
    LogShipperParts parts = bench.parts();
    parts.notice = [] { return std::optional(TrafficNotice{100, "fallow: all\n"}); };
    std::future_status heard = std::future_status::timeout;
    parts.read = [&](bool, const LogDemuxer::OnData& on_data, std::stop_token) {
        if (on_data(out, "aa")) heard = told.get_future().wait_for(std::chrono::seconds(60));
    };
    LogShipper shipper(parts, {});
    REQUIRE(bench.wait_until_drained());
    CHECK(heard == std::future_status::ready);
    CHECK(bench.server.standard_output == "aa");
}

TEST_CASE("a job that writes nothing is told, too") {
    Bench bench;
    LogShipperParts parts = bench.parts();
    parts.notice = [] { return std::optional(TrafficNotice{100, "fallow: all\n"}); };
    LogShipper shipper(parts, {});
    REQUIRE(bench.wait_until_drained());
    CHECK(bench.server.standard_error == "fallow: all\n");
    CHECK(bench.saved.told_percent == 100);
}

TEST_CASE("an agent killed while it told the renter neither repeats the line nor loses output by it") {
    const bool has_arrived = GENERATE(true, false);
    const bool is_known = GENERATE(true, false);
    CAPTURE(has_arrived, is_known);
    Bench bench;
    LogPosition at_kill{1, 2, {}, 0, 90};
    bench.server.standard_output = "aa";
    bench.server.next_sequence = has_arrived ? 2 : 1;
    bench.output = {{out, "aa"}, {out, "bb"}};
    LogShipperParts parts = bench.parts();
    parts.notice = [&] {
        return is_known ? std::optional(TrafficNotice{90, "fallow: nearly\n"}) : std::nullopt;
    };
    LogShipper shipper(parts, at_kill);
    REQUIRE(bench.wait_until_drained());
    CHECK(bench.server.standard_output == "aabb");
    CHECK(bench.server.standard_error.starts_with("fallow: ") == !has_arrived);
    CHECK(bench.saved.told_percent == 90);
    CHECK(bench.saved.telling_percent == 0);
}
