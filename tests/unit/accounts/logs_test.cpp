#include "accounts/logs.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace fallow::accounts {
namespace {

constexpr Time now(5000);

LogEntry a_line(std::string data, LogStream stream = LogStream::stdout_stream) {
    return LogEntry{0, stream, Time(4000), std::move(data)};
}

std::vector<std::string> texts(const LogAppend& plan) {
    std::vector<std::string> list;
    for (const LogEntry& entry : plan.entries)
        list.push_back(std::to_string(entry.sequence) + ":" + entry.data);
    return list;
}

TEST_CASE("entries below the next sequence are ignored and gaps are accepted") {
    struct Row {
        std::int64_t next;
        std::int64_t first;
        std::vector<std::string> expected;
        std::int64_t expected_next;
    };
    const std::vector<Row> rows = {
        {0, 0, {"0:a", "1:b", "2:c"}, 3},
        {3, 3, {"3:a", "4:b", "5:c"}, 6},
        {3, 0, {}, 3},
        {3, 1, {"3:c"}, 4},
        {3, 9, {"9:a", "10:b", "11:c"}, 12},
    };
    for (const Row& row : rows) {
        CAPTURE(row.next, row.first);
        const LogAppend plan = plan_append(LogHead{row.next, false}, 0, row.first,
                                           {a_line("a"), a_line("b"), a_line("c")}, now);
        CHECK(texts(plan) == row.expected);
        CHECK(plan.head.next_sequence == row.expected_next);
        CHECK_FALSE(plan.head.cut);
    }
}

TEST_CASE("nothing to append changes nothing") {
    const LogAppend plan = plan_append(LogHead{7, false}, 100, 7, {}, now);
    CHECK(plan.head.next_sequence == 7);
    CHECK(plan.entries.empty());
    CHECK(plan.bytes == 0);
}

TEST_CASE("past the limit the log ends with one entry that says so") {
    const std::int64_t room_for_one = 40;
    const std::int64_t used = limits::log_bytes_per_job_max - room_for_one;
    const LogAppend plan =
        plan_append(LogHead{10, false}, used, 10, {a_line("fits"), a_line("does not"), a_line("")}, now);
    REQUIRE(plan.entries.size() == 2);
    CHECK(plan.entries[0].data == "fits");
    CHECK(plan.entries[1].sequence == 11);
    CHECK(plan.entries[1].stream == LogStream::stderr_stream);
    CHECK(plan.entries[1].at == now);
    CHECK(plan.entries[1].data.starts_with("fallow: the log was cut here"));
    CHECK(plan.head.cut);
    CHECK(plan.head.next_sequence == 13);
    CHECK(used + plan.bytes <= limits::log_bytes_per_job_max);

    const LogAppend after = plan_append(plan.head, used + plan.bytes, 13, {a_line("x")}, now);
    CHECK(after.entries.empty());
    CHECK(after.head.next_sequence == 14);
    CHECK(after.head.cut);
}

TEST_CASE("empty lines count as well, so that they cannot fill the database") {
    const LogAppend plan = plan_append(LogHead{}, 0, 0, {a_line(""), a_line("")}, now);
    CHECK(plan.bytes > 0);
}

TEST_CASE("a stream has the name of its file descriptor") {
    for (const LogStream stream : {LogStream::stdout_stream, LogStream::stderr_stream}) {
        CHECK(parse_log_stream(api_name(stream)) == stream);
    }
    CHECK_FALSE(parse_log_stream("stdin").has_value());
}

}  // namespace
}  // namespace fallow::accounts
