#include "http/reply_writer.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace fallow::http {
namespace {

std::string head_of(const Reply& reply, ReplyFrame frame) {
    frame.request_id = "req_1";
    std::string out;
    append_head(out, reply, frame);
    return out;
}

bool has_line(const std::string& head, const std::string& line) {
    return head.find("\r\n" + line + "\r\n") != std::string::npos;
}

}  // namespace

TEST_CASE("a head carries what every reply has to say", "[http][reply]") {
    Reply reply;
    reply.body = "{}";
    const std::string head = head_of(reply, {});
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\nDate: "));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(head.find(" GMT\r\n") != std::string::npos);
    for (const char* line : {"X-Request-Id: req_1", "Content-Type: application/json", "Content-Length: 2",
                             "Cache-Control: no-store", "Strict-Transport-Security: max-age=31536000",
                             "X-Content-Type-Options: nosniff"}) {
        INFO(line);
        CHECK(has_line(head, line));
    }
    CHECK(head.find("Server:") == std::string::npos);
    CHECK(head.find("Connection:") == std::string::npos);
}

TEST_CASE("the connection's headers are its own, the others the service's", "[http][reply]") {
    Reply reply;
    reply.headers = {{"cache-control", "max-age=60"}, {"content-length", "9"}, {"Date", "x"},
                     {"X-Request-Id", "req_2"},       {"Connection", "x"},     {"ETag", "\"1\""}};
    ReplyFrame frame;
    frame.keeps_alive = false;
    const std::string head = head_of(reply, frame);
    CHECK(has_line(head, "cache-control: max-age=60"));
    CHECK(head.find("no-store") == std::string::npos);
    CHECK(has_line(head, "ETag: \"1\""));
    CHECK(has_line(head, "Content-Length: 0"));
    CHECK(head.find("content-length: 9") == std::string::npos);
    CHECK(head.find("req_2") == std::string::npos);
    CHECK(has_line(head, "Connection: close"));
}

TEST_CASE("replies without a body name no length", "[http][reply]") {
    for (const int status : {204, 304}) {
        Reply reply;
        reply.status = status;
        const std::string head = head_of(reply, {});
        CHECK(head.find("Content-Length") == std::string::npos);
        CHECK(head.find("\r\nContent-Type") == std::string::npos);
        CHECK_FALSE(may_have_body(status));
    }
    ReplyFrame chunked;
    chunked.is_chunked = true;
    const std::string head = head_of(Reply{}, chunked);
    CHECK(has_line(head, "Transfer-Encoding: chunked"));
    CHECK(head.find("Content-Length") == std::string::npos);
}

TEST_CASE("a header that would break out of its line is not sendable", "[http][reply]") {
    const auto with = [](const char* name, const char* value) {
        Reply reply;
        reply.headers = {{name, value}};
        return reply;
    };
    CHECK(is_sendable(with("Location", "/v1/a\tb")));
    CHECK_FALSE(is_sendable(with("Location", "/v1\r\nX: y")));
    CHECK_FALSE(is_sendable(with("Location", "/v1\nX: y")));
    CHECK_FALSE(is_sendable(with("Loca tion", "/v1")));
    CHECK_FALSE(is_sendable(with("", "/v1")));
    for (const int status : {0, 100, 199, 600}) {
        Reply reply;
        reply.status = status;
        CHECK_FALSE(is_sendable(reply));
    }
    Reply reply;
    reply.content_type = "text/plain\r\n";
    CHECK_FALSE(is_sendable(reply));
}

TEST_CASE("chunks carry their size in hexadecimal", "[http][reply]") {
    std::string out;
    append_chunk(out, std::string(26, 'x'));
    CHECK(out == "1a\r\n" + std::string(26, 'x') + "\r\n");
}

}  // namespace fallow::http
