#include "http/head_parser.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <string>
#include <vector>

namespace fallow::http {
namespace {

using namespace std::string_literals;

constexpr HeadLimits small_limits{400, 5, 40};

struct Refused {
    const char* what;
    std::string head;
    ErrorCode code;
};

/// As the session does it: find the end, then parse.
std::optional<ErrorCode> refusal_of(const std::string& bytes) {
    HeadScanner scanner(small_limits);
    const Result<std::size_t> size = scanner.scan(bytes);
    if (!size) return size.error().code;
    REQUIRE(*size > 0);
    const Result<RequestHead> head = parse_head(std::string_view(bytes).substr(0, *size), small_limits);
    return head ? std::nullopt : std::optional(head.error().code);
}

std::string get_with(const std::string& fields) {
    return "GET /a HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}
std::string post_with(const std::string& fields) {
    return "POST /a HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

const std::vector<Refused> refused_lines = {
    {"empty line first", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"no version", "GET /\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", ErrorCode::http_version},
    {"HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", ErrorCode::http_version},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", ErrorCode::http_version},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", ErrorCode::http_version},
    {"version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"version of three digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"space after the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"two spaces after the method", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"two spaces before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"tab for a space", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"space before the method", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"no method", " / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"method that is no token", "GE(T / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::not_supported},
    {"method in lower case", "get / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::not_supported},
    {"TRACE", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::not_supported},
    {"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::not_supported},
    {"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"absolute form", "GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"authority form", "GET h:443 HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"fragment in the target", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"s, ErrorCode::bad_request},
    {"bare CR in the request line", "GET /a\r HTTP/1.1\r\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"bare LF ends the request line", "GET /a HTTP/1.1\nHost: h\r\n\r\n", ErrorCode::bad_request},
    {"target too long", "GET /" + std::string(40, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n",
     ErrorCode::target_too_long},
    {"endless request line", "GET /" + std::string(100, 'a'), ErrorCode::target_too_long},
    {"endless method", std::string(100, 'A'), ErrorCode::bad_request},
};

const std::vector<Refused> refused_fields = {
    {"no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", ErrorCode::bad_request},
    {"no field at all", "GET / HTTP/1.1\r\n\r\n", ErrorCode::bad_request},
    {"two hosts", get_with("Host: g\r\n"), ErrorCode::bad_request},
    {"the same host twice", get_with("hOST: h\r\n"), ErrorCode::bad_request},
    {"empty host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", ErrorCode::bad_request},
    {"host with a path", "GET / HTTP/1.1\r\nHost: h/a\r\n\r\n", ErrorCode::bad_request},
    {"host with a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", ErrorCode::bad_request},
    {"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", ErrorCode::bad_request},
    {"host with an empty port", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", ErrorCode::bad_request},
    {"host with a port too high", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", ErrorCode::bad_request},
    {"host with a signed port", "GET / HTTP/1.1\r\nHost: h:+80\r\n\r\n", ErrorCode::bad_request},
    {"host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", ErrorCode::bad_request},
    {"space before the colon", get_with("A : b\r\n"), ErrorCode::bad_request},
    {"tab before the colon", get_with("A\t: b\r\n"), ErrorCode::bad_request},
    {"no colon", get_with("Abc\r\n"), ErrorCode::bad_request},
    {"empty name", get_with(": b\r\n"), ErrorCode::bad_request},
    {"name that is no token", get_with("A(b): c\r\n"), ErrorCode::bad_request},
    {"name beyond ASCII", get_with("\xc3\xa4: c\r\n"), ErrorCode::bad_request},
    {"obs-fold with a space", get_with("A: b\r\n c\r\n"), ErrorCode::bad_request},
    {"obs-fold with a tab", get_with("A: b\r\n\tc\r\n"), ErrorCode::bad_request},
    {"folded first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", ErrorCode::bad_request},
    {"bare LF ends a field", get_with("A: b\nC: d\r\n"), ErrorCode::bad_request},
    {"bare LF ends the head", "GET / HTTP/1.1\r\nHost: h\r\n\n", ErrorCode::bad_request},
    {"bare CR in a value", get_with("A: b\rC: d\r\n"), ErrorCode::bad_request},
    {"CR before CRLF", get_with("A: b\r\r\n"), ErrorCode::bad_request},
    {"NUL in a value", get_with("A: b\0c\r\n"s), ErrorCode::bad_request},
    {"vertical tab in a value", get_with("A: b\vc\r\n"), ErrorCode::bad_request},
    {"DEL in a value", get_with("A: b\x7f\r\n"), ErrorCode::bad_request},
    {"two Authorization", get_with("Authorization: a\r\nauthorization: b\r\n"), ErrorCode::bad_request},
    {"two Content-Type", post_with("Content-Type: a\r\nContent-Type: a\r\n"), ErrorCode::bad_request},
    {"too many fields", get_with("A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n"), ErrorCode::header_too_large},
    {"head too large", get_with("A: " + std::string(400, 'x') + "\r\n"), ErrorCode::header_too_large},
    {"head too large before its end", "GET / HTTP/1.1\r\nA: " + std::string(400, 'x'),
     ErrorCode::header_too_large},
    {"unknown expectation", post_with("Expect: a-pony\r\n"), ErrorCode::expectation_failed},
    {"expectation list", post_with("Expect: 100-continue, a\r\n"), ErrorCode::expectation_failed},
    {"two expectations", post_with("Expect: 100-continue\r\nExpect: 100-continue\r\n"),
     ErrorCode::bad_request},
};

const std::vector<Refused> refused_framing = {
    {"TE with CL", post_with("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
     ErrorCode::bad_request},
    {"CL with TE", post_with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
     ErrorCode::bad_request},
    {"two TE", post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
     ErrorCode::bad_request},
    {"two CL", post_with("Content-Length: 3\r\nContent-Length: 4\r\n"), ErrorCode::bad_request},
    {"the same CL twice", post_with("Content-Length: 3\r\nContent-Length: 3\r\n"), ErrorCode::bad_request},
    {"CL list", post_with("Content-Length: 3, 3\r\n"), ErrorCode::bad_request},
    {"empty CL", post_with("Content-Length: \r\n"), ErrorCode::bad_request},
    {"signed CL", post_with("Content-Length: +3\r\n"), ErrorCode::bad_request},
    {"negative CL", post_with("Content-Length: -3\r\n"), ErrorCode::bad_request},
    {"hexadecimal CL", post_with("Content-Length: 0x3\r\n"), ErrorCode::bad_request},
    {"CL with a point", post_with("Content-Length: 3.0\r\n"), ErrorCode::bad_request},
    {"CL with a space inside", post_with("Content-Length: 3 4\r\n"), ErrorCode::bad_request},
    {"CL beyond 64 bits", post_with("Content-Length: 99999999999999999999\r\n"), ErrorCode::body_too_large},
    {"gzip", post_with("Transfer-Encoding: gzip\r\n"), ErrorCode::not_supported},
    {"gzip, chunked", post_with("Transfer-Encoding: gzip, chunked\r\n"), ErrorCode::not_supported},
    {"chunked, chunked", post_with("Transfer-Encoding: chunked, chunked\r\n"), ErrorCode::not_supported},
    {"identity", post_with("Transfer-Encoding: identity\r\n"), ErrorCode::not_supported},
    {"xchunked", post_with("Transfer-Encoding: xchunked\r\n"), ErrorCode::not_supported},
    {"quoted chunked", post_with("Transfer-Encoding: \"chunked\"\r\n"), ErrorCode::not_supported},
    {"chunked with a parameter", post_with("Transfer-Encoding: chunked;a=b\r\n"), ErrorCode::not_supported},
    {"empty TE", post_with("Transfer-Encoding:\r\n"), ErrorCode::not_supported},
    {"TE behind a vertical tab", post_with("Transfer-Encoding: \vchunked\r\n"), ErrorCode::bad_request},
    {"TE with a space before the colon", post_with("Transfer-Encoding : chunked\r\n"),
     ErrorCode::bad_request},
    {"TE on a folded line", post_with("Transfer-Encoding:\r\n chunked\r\n"), ErrorCode::bad_request},
};

}  // namespace

TEST_CASE("every shape that two readers could take differently is refused with its code", "[http][head]") {
    for (const auto* table : {&refused_lines, &refused_fields, &refused_framing}) {
        for (const Refused& row : *table) {
            INFO(row.what);
            const std::optional<ErrorCode> code = refusal_of(row.head);
            REQUIRE(code.has_value());
            CHECK(name_of(*code) == name_of(row.code));
        }
    }
}

TEST_CASE("a sound head is read", "[http][head]") {
    const std::string bytes =
        "POST /v1/a%20b?x=1&y=a+b HTTP/1.1\r\nHOST: example.com:8443\r\nX-Empty:\r\n"
        "X-Text: \t two  words\xc3\xa4 \t\r\nContent-Length: 12\r\nExpect: 100-Continue\r\n\r\n";
    const Result<RequestHead> head = parse_head(bytes, small_limits);
    REQUIRE(head);
    CHECK(head->method == Method::post);
    CHECK(head->target == "/v1/a%20b?x=1&y=a+b");
    CHECK(head->path == "/v1/a b");
    CHECK(head->query == Fields{{"x", "1"}, {"y", "a b"}});
    CHECK(head->headers == Fields{{"host", "example.com:8443"},
                                  {"x-empty", ""},
                                  {"x-text", "two  words\xc3\xa4"},
                                  {"content-length", "12"},
                                  {"expect", "100-Continue"}});
    CHECK(head->content_length == 12U);
    CHECK_FALSE(head->is_chunked);
    CHECK(head->expects_continue);
    CHECK(head->keeps_alive);
}

TEST_CASE("hosts that are taken", "[http][head]") {
    for (const std::string host :
         {"h", "a-b.example.com", "127.0.0.1:1", "[::1]", "[::1]:8443", "h:65535"}) {
        INFO(host);
        CHECK_FALSE(refusal_of("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
    }
}

TEST_CASE("the transfer coding's case does not matter, and a list of options can say close",
          "[http][head]") {
    const Result<RequestHead> chunked =
        parse_head(post_with("transfer-encoding:CHUNKED\r\n"), small_limits);
    REQUIRE(chunked);
    CHECK(chunked->is_chunked);
    CHECK_FALSE(chunked->content_length);
    const Result<RequestHead> closing = parse_head(get_with("Connection: te, Close\r\n"), small_limits);
    REQUIRE(closing);
    CHECK_FALSE(closing->keeps_alive);
}

TEST_CASE("the scanner finds the same end however the bytes arrive", "[http][head]") {
    const std::string head = get_with("A: b\r\n");
    const std::string bytes = head + "GET /next HTTP/1.1\r\n";
    HeadScanner whole(small_limits);
    const Result<std::size_t> at_once = whole.scan(bytes);
    REQUIRE(at_once);
    CHECK(*at_once == head.size());
    HeadScanner piecewise(small_limits);
    for (std::size_t size = 0; size < head.size(); ++size) {
        const Result<std::size_t> found = piecewise.scan(std::string_view(bytes).substr(0, size));
        REQUIRE(found);
        REQUIRE(*found == 0);
    }
    const Result<std::size_t> complete = piecewise.scan(head);
    REQUIRE(complete);
    CHECK(*complete == head.size());
}

}  // namespace fallow::http
