#include "ops/log.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

using namespace fallow::ops;
using nlohmann::json;

namespace {

struct Lines {
    std::vector<std::string> text;
    [[nodiscard]] auto sink() {
        return [this](std::string_view line) { text.emplace_back(line); };
    }
};

}  // namespace

TEST_CASE("a line is one JSON object", "[log]") {
    Lines lines;
    Log log(Level::info, lines.sink());
    log.warn("A lease was \"lost\"\n",
             {{"lease", "lease_1"}, {"attempt", std::int64_t{2}}, {"final", true}});
    REQUIRE(lines.text.size() == 1);
    CHECK(lines.text[0].find('\n') == std::string::npos);
    const json line = json::parse(lines.text[0]);
    CHECK(line["level"] == "warning");
    CHECK(line["message"] == "A lease was \"lost\"\n");
    CHECK(line["lease"] == "lease_1");
    CHECK(line["attempt"] == 2);
    CHECK(line["final"] == true);
    const std::string time = line["time"];
    CHECK(time.size() == std::string("2026-01-02T03:04:05.678Z").size());
    CHECK(time[10] == 'T');
    CHECK(time.back() == 'Z');
}

TEST_CASE("text with spdlog's and fmt's own marks is written as it is", "[log]") {
    Lines lines;
    Log log(Level::debug, lines.sink());
    log.debug("100 %v {} {0} %Y");
    CHECK(json::parse(lines.text.at(0))["message"] == "100 %v {} {0} %Y");
}

TEST_CASE("only the wanted levels are written", "[log]") {
    struct Row {
        std::string name;
        std::size_t lines;
    };
    for (const Row& row : {Row{"debug", 4}, Row{"info", 3}, Row{"warn", 2}, Row{"error", 1}}) {
        Lines lines;
        Log log(*parse_level(row.name), lines.sink());
        log.debug("d");
        log.info("i");
        log.warn("w");
        log.error("e");
        CHECK(lines.text.size() == row.lines);
    }
    CHECK_FALSE(parse_level("INFO").has_value());
    CHECK_FALSE(parse_level("").has_value());
}

TEST_CASE("strings are escaped so that any parser gets them back", "[log]") {
    struct Row {
        std::string given;
        std::string read;
    };
    const std::string replaced = "\xef\xbf\xbd";
    const Row rows[] = {
        {"plain", "plain"},
        {"quote \" backslash \\ slash /", "quote \" backslash \\ slash /"},
        {std::string("\0\x01\x1f\x7f\t\r\n", 7), std::string("\0\x01\x1f\x7f\t\r\n", 7)},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff", replaced},
        {"a\xc3", "a" + replaced},
        {"\xc0\xaf", replaced + replaced},
        {"\xed\xa0\x80", replaced + replaced + replaced},
        {"\xf4\x90\x80\x80", replaced + replaced + replaced + replaced},
        {"\xe0\x80\x80", replaced + replaced + replaced},
        {"\xe2\x82 x", replaced + replaced + " x"},
        {"", ""},
    };
    for (const Row& row : rows) {
        INFO(json_string(row.given));
        CHECK(json::parse(json_string(row.given)).get<std::string>() == row.read);
    }
}

TEST_CASE("every single byte and pair of bytes makes valid JSON", "[log]") {
    for (int a = 0; a < 256; ++a) {
        for (int b = 0; b < 256; ++b) {
            const std::string text{static_cast<char>(a), static_cast<char>(b)};
            REQUIRE(json::accept(json_string(text)));
        }
    }
}

TEST_CASE("secrets do not reach a line", "[log]") {
    const std::string body(43, 'A');
    struct Row {
        std::string given;
        std::string written;
    };
    const Row rows[] = {
        {"Bearer fallow_" + body + "_nghz7h end", "Bearer fallow_[redacted] end"},
        {"fallow_enroll_" + body + "_012345", "fallow_[redacted]"},
        {"fallow_http_requests_total", "fallow_http_requests_total"},
        {"postgres://me:s3cret@db:5432/x?y=1", "postgres://me:[redacted]@db:5432/x?y=1"},
        {"postgres://me:p@ss@db/x", "postgres://me:[redacted]@db/x"},
        {"https://host:8443/a@b", "https://host:8443/a@b"},
        {"host=db password=s3cret user=me", "host=db password=[redacted] user=me"},
        {"nothing secret", "nothing secret"},
        {"", ""},
    };
    for (const Row& row : rows)
        CHECK(redacted(row.given) == row.written);
    Lines lines;
    Log log(Level::info, lines.sink());
    log.info("key fallow_" + body + "_nghz7h", {{"url", "postgres://me:s3cret@db/x"}});
    CHECK(lines.text.at(0).find(body) == std::string::npos);
    CHECK(lines.text.at(0).find("s3cret") == std::string::npos);
}

TEST_CASE("a request is one line, and a server error is an error", "[log]") {
    Lines lines;
    Log log(Level::info, lines.sink());
    AccessLine line;
    line.request_id = "req_1";
    line.method = "POST";
    line.path = "/v1/orders\"";
    line.remote_address = "127.0.0.1";
    line.status = 201;
    line.bytes_in = 5;
    line.duration_us = 1234;
    log.access(line);
    line.status = 503;
    log.access(line);
    line.status = 500;
    log.access(line);
    REQUIRE(lines.text.size() == 3);
    const json first = json::parse(lines.text[0]);
    CHECK(first["message"] == "request");
    CHECK(first["level"] == "info");
    CHECK(first["path"] == "/v1/orders\"");
    CHECK(first["status"] == 201);
    CHECK(first["duration_us"] == 1234);
    CHECK(json::parse(lines.text[1])["level"] == "info");
    CHECK(json::parse(lines.text[2])["level"] == "error");
}

TEST_CASE("threads do not mix their lines", "[log]") {
    Lines lines;
    Log log(Level::info, lines.sink());
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&log] {
            for (int i = 0; i < 200; ++i)
                log.info("x", {{"i", std::int64_t{i}}});
        });
    threads.clear();
    REQUIRE(lines.text.size() == 800);
    for (const std::string& line : lines.text)
        REQUIRE(json::accept(line));
}
