// Clock texts, log frames, paths, the log's own form, the kernel's OOM lines.
#include <catch2/catch.hpp>
#include <fstream>

#include "agent/clock.hpp"
#include "agent/json_log.hpp"
#include "agent/log_frames.hpp"
#include "agent/oom.hpp"
#include "agent/storage.hpp"

using namespace fallow::agent;

TEST_CASE("times are read in UTC with any fraction and written in milliseconds") {
    CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == 0);
    CHECK(parse_rfc3339("2026-01-02T03:04:05.678Z") == 1767323045678);
    CHECK(parse_rfc3339("2026-01-02T03:04:05.678912345Z") == 1767323045678);
    CHECK(parse_rfc3339("2026-01-02T03:04:05.6Z") == 1767323045600);
    CHECK(parse_rfc3339("0001-01-01T00:00:00Z") == -62135596800000);
    CHECK(format_rfc3339(1767323045678) == "2026-01-02T03:04:05.678Z");
    for (const char* text : {"", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05+01:00",
                             "2026-02-30T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02T03:04:05.Z",
                             "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05.x12Z"})
        CHECK_FALSE(parse_rfc3339(text));
}

TEST_CASE("the boot clock does not go backwards") {
    const std::int64_t before = boot_clock_ms();
    CHECK(boot_clock_ms() >= before);
    CHECK(current_boot_id().size() == 36);
}

TEST_CASE("log frames come apart wherever the transport cuts them") {
    const std::string octets =
        std::string("\x01\0\0\0\0\0\0\x03", 8) + "abc" + std::string("\x02\0\0\0\0\0\0\x02", 8) + "de" +
        std::string("\x01\0\0\0\0\0\0\0", 8) + std::string("\x01\0\0\0\0\0\0\x01", 8) + "f";
    for (std::size_t cut = 1; cut <= octets.size(); ++cut) {
        std::string out;
        std::string err;
        LogDemuxer demuxer([&](LogStream stream, std::string_view data) {
            (stream == LogStream::standard_error ? err : out) += data;
            return true;
        });
        for (std::size_t at = 0; at < octets.size(); at += cut)
            REQUIRE(demuxer.feed(octets.substr(at, cut)));
        CHECK(out == "abcf");
        CHECK(err == "de");
    }
}

TEST_CASE("what is not a log stream is refused, and a listener can stop one") {
    LogDemuxer demuxer([](LogStream, std::string_view) { return false; });
    CHECK_THROWS_AS(demuxer.feed("plain text, no frame"), std::runtime_error);
    LogDemuxer stopped([](LogStream, std::string_view) { return false; });
    CHECK_FALSE(stopped.feed(std::string("\x01\0\0\0\0\0\0\x01", 8) + "f"));
}

TEST_CASE("a job's paths stay below its folder") {
    for (const char* path : {"a", "a/b.txt", "..a", "a..", "deep/er/still", "with space"}) {
        INFO(path);
        CHECK(is_safe_path(path));
    }
    for (const char* path :
         {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\nb", "a\x7f"}) {
        INFO(path);
        CHECK_FALSE(is_safe_path(path));
    }
    CHECK_FALSE(is_safe_path(std::string(513, 'a')));
    CHECK_FALSE(is_safe_path(std::string(256, 'a')));
}

TEST_CASE("a log line stays one line of JSON, whatever a guest made of it") {
    CHECK(json_escaped("a \"b\" \\ c\n\x01\xff") == "a \\\"b\\\" \\\\ c\\u000a\\u0001\\u00ff");
}

TEST_CASE("the kernel's report of an OOM kill is known by its container") {
    const char* const line =
        "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=libpod-abc,mems_allowed=0,"
        "oom_memcg=/libpod_parent/libpod-abc,task_memcg=/libpod_parent/libpod-abc,task=tail,pid=1,uid=0";
    CHECK(is_oom_kill_of(line, "abc"));
    CHECK_FALSE(is_oom_kill_of(line, "abd"));
    CHECK_FALSE(is_oom_kill_of(line, "tail"));
    CHECK_FALSE(is_oom_kill_of(line, ""));
    CHECK_FALSE(is_oom_kill_of("6,1,2,-;something of abc", "abc"));
}
