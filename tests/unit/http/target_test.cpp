#include "http/target.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace fallow::http {

TEST_CASE("targets are decoded once", "[http][target]") {
    struct Row {
        std::string target;
        std::string path;
        Fields query;
    };
    const std::vector<Row> rows = {
        {"/", "/", {}},
        {"/?", "/", {}},
        {"/v1/leases/lease_7z/end", "/v1/leases/lease_7z/end", {}},
        {"/a/", "/a/", {}},
        {"/a%2Bb+c", "/a+b+c", {}},
        {"/a%252e", "/a%2e", {}},
        {"/...", "/...", {}},
        {"/.a/b.", "/.a/b.", {}},
        {"/%E2%82%AC", "/\xe2\x82\xac", {}},
        {"/%F0%9F%98%80", "/\xf0\x9f\x98\x80", {}},
        {"/a?b", "/a", {{"b", ""}}},
        {"/a?b=", "/a", {{"b", ""}}},
        {"/a?b=c=d", "/a", {{"b", "c=d"}}},
        {"/a?&b=1&&c=2&", "/a", {{"b", "1"}, {"c", "2"}}},
        {"/a?b=1&b=2", "/a", {{"b", "1"}, {"b", "2"}}},
        {"/a?q=vram+%3E%3D+80GiB%26x", "/a", {{"q", "vram >= 80GiB&x"}}},
        {"/a?q=%0A%2F..%2F", "/a", {{"q", "\n/../"}}},
        {"/a?b=/x?y", "/a", {{"b", "/x?y"}}},
        {"/a?=b", "/a", {{"", "b"}}},
    };
    for (const Row& row : rows) {
        INFO(row.target);
        const Result<Target> parsed = parse_target(row.target);
        REQUIRE(parsed);
        CHECK(parsed->path == row.path);
        CHECK(parsed->query == row.query);
    }
}

TEST_CASE("targets that mean different things to different readers are refused", "[http][target]") {
    for (const std::string target : {"",
                                     "*",
                                     "a",
                                     "https://h/a",
                                     "//",
                                     "//h/a",
                                     "/a//b",
                                     "/a//",
                                     "/.",
                                     "/..",
                                     "/./a",
                                     "/../a",
                                     "/a/..",
                                     "/a/.",
                                     "/a/../b",
                                     "/%2e/a",
                                     "/%2E%2e/a",
                                     "/a/.%2e",
                                     "/a/%2e.",
                                     "/a%2fb",
                                     "/a%2Fb",
                                     "/%2f",
                                     "/a%00b",
                                     "/%00",
                                     "/a?b=%00",
                                     "/a?%00=b",
                                     "/%",
                                     "/%4",
                                     "/%4g",
                                     "/%g4",
                                     "/% 4",
                                     "/a?b=%",
                                     "/a?b=%z1",
                                     "/%0d%0a",
                                     "/%7f",
                                     "/%1b",
                                     "/%ff",
                                     "/%c0%ae",
                                     "/%e0%80%af",
                                     "/%ed%a0%80",
                                     "/%f4%90%80%80",
                                     "/%e2%82",
                                     "/a?b=%ff",
                                     "/a#b",
                                     "/a?b#c",
                                     "/a\\b",
                                     "/a\"b",
                                     "/a<b",
                                     "/a|b",
                                     "/a b",
                                     "/a?b c",
                                     "/a?b<c",
                                     "/\xc3\xa4",
                                     "/a?\xc3\xa4"}) {
        INFO(target);
        const Result<Target> parsed = parse_target(target);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == ErrorCode::bad_request);
    }
}

}  // namespace fallow::http
