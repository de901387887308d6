// What passes between a browser and a program in a job, without I/O: frames, heads, replies.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "http/guest_frames.hpp"
#include "http/guest_head.hpp"
#include "http/guest_reply.hpp"
#include "support/tunnel_frames.hpp"

using namespace fallow;
using namespace fallow::http;

namespace {

Request request_with(Fields headers, Method method = Method::get) {
    Request request;
    request.method = method;
    request.target = "/a?b=c";
    request.headers = std::move(headers);
    return request;
}

struct Read {
    Status status = Done{};
    std::string body;
    std::string rest;
};

/// Gives the reader so many bytes at once.
Read read_in_pieces(GuestReplyReader& reader, std::string_view bytes, std::size_t size) {
    Read read;
    while (!bytes.empty() && read.status) {
        read.rest += bytes.substr(0, size);
        bytes.remove_prefix(std::min(size, bytes.size()));
        read.status = reader.feed(read.rest, read.body);
    }
    return read;
}

}  // namespace

TEST_CASE("frames come out as they went in, in any pieces") {
    std::string bytes;
    append_guest_frames(bytes, GuestFrameKind::open, "{}");
    append_guest_frames(bytes, GuestFrameKind::ping, {});
    append_guest_frames(bytes, GuestFrameKind::input, std::string(guest_frame_bytes_max + 1, 'x'));
    CHECK(bytes.substr(0, 7) == std::string("\x01\x00\x00\x00\x02{}", 7));
    GuestFrameReader reader;
    std::vector<GuestFrame> frames;
    for (std::size_t at = 0; at < bytes.size(); at += 1000) {
        reader.push(std::string_view(bytes).substr(at, 1000));
        while (auto frame = reader.next())
            frames.push_back(std::move(*frame));
    }
    REQUIRE(frames.size() == 4);
    CHECK((frames[0].kind == GuestFrameKind::open && frames[0].payload == "{}"));
    CHECK((frames[1].kind == GuestFrameKind::ping && frames[1].payload.empty()));
    CHECK(frames[2].payload.size() == guest_frame_bytes_max);
    CHECK(frames[3].payload == "x");
    CHECK(reader.is_empty());

    reader.push("GET / HTTP/1.1");
    CHECK_FALSE(reader.next());
    CHECK(reader.is_broken());
}

TEST_CASE("the server's frames are the bytes that the SDK's are") {
    using Kind = GuestFrameKind;
    const std::map<std::string, Kind> kinds{{"open", Kind::open},       {"opened", Kind::opened},
                                            {"refused", Kind::refused}, {"input", Kind::input},
                                            {"output", Kind::output},   {"end", Kind::end},
                                            {"ping", Kind::ping},       {"pong", Kind::pong}};
    for (const auto& frame : fallow::testing::written_frames()) {
        INFO(frame.kind);
        std::string bytes;
        append_guest_frames(bytes, kinds.at(frame.kind), frame.payload);
        const bool is_same = bytes == frame.bytes;
        CHECK(is_same);
        GuestFrameReader reader;
        reader.push(frame.bytes);
        const auto read = reader.next();
        REQUIRE(read);
        CHECK(read->kind == kinds.at(frame.kind));
        CHECK(read->payload.size() == frame.payload.size());
        CHECK(reader.is_empty());
    }
}

TEST_CASE("a guest hears nothing of the connection, and who asks under which name is written anew") {
    const Request request = request_with({{"host", "8888-x.apps.test"},
                                          {"connection", "keep-alive, X-Once"},
                                          {"x-once", "1"},
                                          {"x-forwarded-for", "1.2.3.4"},
                                          {"x-forwarded-host", "forged"},
                                          {"forwarded", "for=x"},
                                          {"te", "trailers"},
                                          {"expect", "100-continue"},
                                          {"proxy-authorization", "Basic x"},
                                          {"content-length", "3"},
                                          {"accept", "*/*"}});
    const Fields passed = passed_request_headers(request);
    CHECK(passed == Fields{{"accept", "*/*"},
                           {"x-forwarded-proto", "https"},
                           {"x-forwarded-host", "8888-x.apps.test"}});
    CHECK(guest_request_head(request, {{"accept", "*/*"}}, false) ==
          "GET /a?b=c HTTP/1.1\r\nhost: 8888-x.apps.test\r\naccept: */*\r\ncontent-length: 3\r\n\r\n");
}

TEST_CASE("a WebSocket is a GET that says so twice") {
    CHECK(asks_for_websocket(
        request_with({{"connection", "keep-alive, Upgrade"}, {"upgrade", "WebSocket"}})));
    CHECK_FALSE(asks_for_websocket(request_with({{"upgrade", "websocket"}})));
    CHECK_FALSE(asks_for_websocket(request_with({{"connection", "upgrade"}, {"upgrade", "h2c"}})));
    const Fields both{{"connection", "upgrade"}, {"upgrade", "websocket"}};
    CHECK_FALSE(asks_for_websocket(request_with(both, Method::post)));
    Fields with_body = both;
    with_body.emplace_back("content-length", "1");
    CHECK_FALSE(asks_for_websocket(request_with(with_body)));
}

TEST_CASE("a guest's reply reaches no other name") {
    const auto passed = passed_reply_headers({{"Content-Type", "text/html"},
                                              {"Connection", "X-Once"},
                                              {"X-Once", "1"},
                                              {"Transfer-Encoding", "chunked"},
                                              {"Alt-Svc", "h3=\":443\""},
                                              {"Clear-Site-Data", "\"*\""},
                                              {"Strict-Transport-Security", "max-age=0; includeSubDomains"},
                                              {"Set-Cookie", "a=b; Path=/; domain=example.org; Secure"},
                                              {"Set-Cookie", "c=d"},
                                              {"Set-Cookie", "__host-Fallow_App=stolen; Path=/"}});
    REQUIRE(passed);
    CHECK(*passed == Fields{{"content-type", "text/html"},
                            {"set-cookie", "a=b; Path=/; Secure"},
                            {"set-cookie", "c=d"}});
    CHECK_FALSE(passed_reply_headers({{"a b", "c"}}));
    CHECK_FALSE(passed_reply_headers({{"a", "b\r\nc: d"}}));
}

TEST_CASE("a relayed head has the framing that is wanted") {
    CHECK(relayed_reply_head(200, {{"a", "b"}}, {.length = 5}) ==
          "HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 5\r\n"
          "strict-transport-security: max-age=31536000\r\n\r\n");
    CHECK(relayed_reply_head(200, {}, {.is_chunked = true, .keeps_alive = false}) ==
          "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n"
          "strict-transport-security: max-age=31536000\r\n\r\n");
}

TEST_CASE("a reply is read in any pieces, and no further than its end") {
    const std::size_t size = GENERATE(1, 7, 1000);
    GuestReplyReader sized(false);
    Read read = read_in_pieces(sized, "HTTP/1.1 201 X\r\nA: b\r\nContent-Length: 5\r\n\r\nhellonext", size);
    REQUIRE(read.status);
    CHECK(sized.is_done());
    CHECK((sized.status() == 201 && sized.keeps_alive() && sized.content_length() == 5));
    CHECK(sized.headers() == Fields{{"A", "b"}, {"Content-Length", "5"}});
    CHECK(read.body == "hello");
    CHECK(read.rest == "next");

    GuestReplyReader chunked(false);
    read = read_in_pieces(chunked,
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n"
                          "0\r\nTrailer: t\r\n\r\n",
                          size);
    REQUIRE(read.status);
    CHECK((chunked.is_done() && chunked.keeps_alive() && read.body == "abcde"));
    CHECK(chunked.headers().size() == 1);

    GuestReplyReader endless(false);
    read = read_in_pieces(endless, "HTTP/1.0 200 OK\r\n\r\nto the end", size);
    REQUIRE(read.status);
    CHECK_FALSE(endless.is_done());
    CHECK(endless.finish());
    CHECK((endless.is_done() && !endless.keeps_alive() && read.body == "to the end"));

    GuestReplyReader to_head(true);
    read = read_in_pieces(to_head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", size);
    CHECK((to_head.is_done() && to_head.content_length() == 5 && read.body.empty()));
}

TEST_CASE("what is no reply is refused") {
    for (const std::string_view bytes :
         {"what?\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 2 OK\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"}) {
        INFO(bytes);
        GuestReplyReader reader(false);
        CHECK_FALSE(read_in_pieces(reader, bytes, 1000).status);
    }
    GuestReplyReader large(false);
    CHECK_FALSE(
        read_in_pieces(large, "HTTP/1.1 200 OK\r\nA: " + std::string(guest_head_bytes_max, 'x'), 1000)
            .status);
    GuestReplyReader endless(false);
    const std::string extension = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
    CHECK_FALSE(
        read_in_pieces(endless, extension + std::string(2 * guest_head_bytes_max, 'x'), 1000).status);
    GuestReplyReader none(false);
    CHECK_FALSE(none.finish());
    GuestReplyReader cut(false);
    CHECK(read_in_pieces(cut, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 1000).status);
    CHECK_FALSE(cut.finish());
}
