#include <catch2/catch.hpp>

#include "integration/store/accounts_rows.hpp"
#include "store/job_logs.hpp"
#include "store/maintenance.hpp"

namespace fallow::store {
namespace {

using accounts::LogEntry;
using accounts::LogStream;

LogEntry a_line(std::string data, LogStream stream = LogStream::stdout_stream) {
    return LogEntry{0, stream, test_now, std::move(data)};
}

std::int64_t append(AccountRows& rows, std::int64_t first, const std::vector<LogEntry>& entries,
                    std::int32_t attempt = 1) {
    return rows.as(Actor::agent(seller_host), [&](Transaction& tx) {
        return LogStore(tx, test_author).append(renter, renter_job, attempt, first, entries);
    });
}

std::vector<LogEntry> read(AccountRows& rows, std::int64_t after, std::int64_t limit,
                           std::int32_t attempt = 1, OrganizationId organization = renter) {
    return rows.as(Actor::request(organization), [&](Transaction& tx) {
        return LogStore(tx, test_author).read(renter_job, attempt, after, limit);
    });
}

TEST_CASE("lines come back with every octet, in order, a page at a time") {
    AccountRows rows;
    std::string all_octets;
    for (int octet = 0; octet < 256; ++octet)
        all_octets.push_back(static_cast<char>(octet));
    CHECK(append(rows, 0, {a_line("one\n"), a_line(all_octets, LogStream::stderr_stream)}) == 2);
    CHECK(append(rows, 2, {a_line(""), a_line(std::string(limits::log_chunk_bytes_max, '\\'))}) == 4);

    const auto first = read(rows, -1, 3);
    REQUIRE(first.size() == 3);
    CHECK(first[0] == LogEntry{0, LogStream::stdout_stream, test_now, "one\n"});
    CHECK(first[1] == LogEntry{1, LogStream::stderr_stream, test_now, all_octets});
    CHECK(first[2].data.empty());
    const auto rest = read(rows, first.back().sequence, 3);
    REQUIRE(rest.size() == 1);
    CHECK(rest[0].data == std::string(limits::log_chunk_bytes_max, '\\'));
    CHECK(read(rows, 3, 3).empty());
}

TEST_CASE("a repeated append stores nothing twice") {
    AccountRows rows;
    CHECK(append(rows, 0, {a_line("a"), a_line("b")}) == 2);
    CHECK(append(rows, 0, {a_line("a"), a_line("b")}) == 2);
    CHECK(append(rows, 1, {a_line("b"), a_line("c")}) == 3);
    CHECK(append(rows, 3, {}) == 3);
    CHECK(append(rows, 7, {a_line("h")}) == 8);
    std::string text;
    for (const LogEntry& entry : read(rows, -1, 100))
        text += std::to_string(entry.sequence) + entry.data;
    CHECK(text == "0a1b2c7h");
}

TEST_CASE("attempts have logs of their own and share the job's limit") {
    AccountRows rows;
    append(rows, 0, {a_line("first attempt")}, 1);
    rows.poke("UPDATE job_log_heads SET bytes = " + std::to_string(limits::log_bytes_per_job_max - 100));
    CHECK(append(rows, 0, {a_line("second"), a_line(std::string(100, 'x')), a_line("y")}, 2) == 3);
    const auto lines = read(rows, -1, 100, 2);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].data == "second");
    CHECK(lines[1].data.starts_with("fallow: the log was cut here"));
    CHECK(append(rows, 3, {a_line("z")}, 2) == 4);
    CHECK(read(rows, -1, 100, 2).size() == 2);
    CHECK(read(rows, -1, 100, 1).size() == 1);
}

TEST_CASE("only the owner reads a log and only its host writes it") {
    AccountRows rows;
    append(rows, 0, {a_line("secret")});
    CHECK(read(rows, -1, 100, 1, seller).empty());
    CHECK_THROWS_AS(
        rows.as(Actor::agent(other_host),
                [&](Transaction& tx) {
                    static_cast<void>(
                        LogStore(tx, test_author).append(renter, renter_job, 1, 1, {a_line("forged")}));
                }),
        DatabaseError);
    CHECK_THROWS_AS(
        rows.as(Actor::agent(other_host),
                [&](Transaction& tx) {
                    static_cast<void>(
                        LogStore(tx, test_author).append(renter, renter_job, 2, 0, {a_line("forged")}));
                }),
        DatabaseError);
    CHECK(read(rows, -1, 100).size() == 1);
}

TEST_CASE("a log is kept for 14 days, and a late repeat does not start it anew") {
    AccountRows rows;
    append(rows, 0, {a_line("a"), a_line("b")});
    CHECK(expire(rows.connection, test_now + days(14) - Millis(1), 100) == 0);
    CHECK(expire(rows.connection, test_now + days(14), 100) == 2);
    CHECK(read(rows, -1, 100).empty());
    CHECK(append(rows, 0, {a_line("a"), a_line("b")}) == 2);
    CHECK(read(rows, -1, 100).empty());
}

}  // namespace
}  // namespace fallow::store
