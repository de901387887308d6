// What a client gets for requests that are malformed, too large, too slow or too many: always a problem,
// then the end.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "integration/http/support.hpp"

namespace fallow::http::testing {
namespace {

/// The refusal's form, which is the same for all; leaves the connection ended.
void check_refusal(Client& client, const Answer& answer, int status, const std::string& code) {
    CHECK(answer.status == status);
    CHECK(answer.code() == code);
    CHECK(answer.header("content-type") == "application/problem+json");
    CHECK(answer.header("connection") == "close");
    const auto body = nlohmann::json::parse(answer.body);
    CHECK(body.at("request_id") == answer.header("x-request-id"));
    CHECK(body.at("status") == status);
    CHECK(body.at("type") == "urn:fallow:problem:" + code);
    CHECK(client.receive_end());
}

}  // namespace

TEST_CASE("smuggling shapes get a problem and never a second reply", "[http]") {
    struct Row {
        const char* what;
        std::string bytes;
        int status;
        const char* code;
    };
    const std::string second = "GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const std::string start = "POST /a HTTP/1.1\r\nHost: localhost\r\n";
    const std::vector<Row> rows = {
        {"TE and CL", start + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
         400, "bad_request"},
        {"two CL", start + "Content-Length: 0\r\nContent-Length: 43\r\n\r\n" + second, 400, "bad_request"},
        {"bogus coding", start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + second, 501,
         "not_supported"},
        {"obs-fold", start + "Transfer-Encoding:\r\n chunked\r\n\r\n" + second, 400, "bad_request"},
        {"two hosts", start + "Host: other\r\n\r\n" + second, 400, "bad_request"},
        {"no host", "GET / HTTP/1.1\r\n\r\n" + second, 400, "bad_request"},
        {"bare LF", "GET / HTTP/1.1\nHost: localhost\n\n" + second, 400, "bad_request"},
        {"chunk extension", start + "Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n" + second, 400,
         "bad_request"},
        {"trailer", start + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n" + second, 400,
         "bad_request"},
        {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n" + second, 505, "http_version"},
        {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version"},
        {"expectation", start + "Content-Length: 43\r\nExpect: pony\r\n\r\n" + second, 417,
         "expectation_failed"},
        {"dot segments", "GET /a/%2e%2e/b HTTP/1.1\r\nHost: localhost\r\n\r\n" + second, 400,
         "bad_request"},
        {"long target", "GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n" + second,
         414, "target_too_long"},
        {"long head", start + "A: " + std::string(17'000, 'a'), 431, "header_too_large"},
    };
    Fixture fixture;
    fixture.start();
    for (const Row& row : rows) {
        INFO(row.what);
        Client client(fixture.port());
        const Answer answer = client.ask(row.bytes);
        check_refusal(client, answer, row.status, row.code);
    }
    CHECK(fixture.internal_errors().empty());
}

TEST_CASE("a body over the limit is refused before it is read", "[http]") {
    Fixture fixture;
    fixture.service.head = [](const Request&) { return BodyLimit{10}; };
    fixture.start();
    SECTION("by its length") {
        Client client(fixture.port());
        const Answer answer =
            client.ask("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n");
        check_refusal(client, answer, 413, "body_too_large");
    }
    SECTION("by a length that would fill the machine") {
        Client client(fixture.port());
        const Answer answer = client.ask(
            "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551615\r\n\r\n");
        check_refusal(client, answer, 413, "body_too_large");
    }
    SECTION("by its chunks") {
        Client client(fixture.port());
        const Answer answer = client.ask(
            "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n");
        check_refusal(client, answer, 413, "body_too_large");
    }
    SECTION("although the client is already sending it") {
        Client client(fixture.port());
        client.send("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
        client.send(std::string(1'000'000, 'x'));
        const Answer answer = client.receive();
        CHECK(answer.status == 413);
        client.receive_end();
    }
    SECTION("but the limit itself is fine") {
        Client client(fixture.port());
        CHECK(client.ask(post("/a", "0123456789")).status == 200);
    }
}

TEST_CASE("slow clients get a 408", "[http]") {
    Fixture fixture;
    fixture.config.limits.header_timeout_ms = 100;
    fixture.start();
    SECTION("within the head") {
        Client client(fixture.port());
        const Answer answer = client.ask("GET / HTTP/1.1\r\nHos");
        check_refusal(client, answer, 408, "request_timeout");
        CHECK(answer.header("retry-after") == "1");
    }
    SECTION("within the body") {
        Client client(fixture.port());
        const Answer answer =
            client.ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello");
        check_refusal(client, answer, 408, "request_timeout");
    }
    SECTION("within a chunk") {
        Client client(fixture.port());
        const Answer answer =
            client.ask("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
        check_refusal(client, answer, 408, "request_timeout");
    }
    SECTION("within a second head") {
        Client client(fixture.port());
        CHECK(client.ask(get("/")).status == 200);
        const Answer answer = client.ask("GET / HTTP/1.1\r\n");
        check_refusal(client, answer, 408, "request_timeout");
    }
}

TEST_CASE("an idle connection is closed with a goodbye", "[http]") {
    Fixture fixture;
    fixture.config.limits.idle_timeout_ms = 100;
    fixture.start();
    Client fresh(fixture.port());
    CHECK(fresh.receive_end());
    Client used(fixture.port());
    CHECK(used.ask(get("/")).status == 200);
    CHECK(used.receive_end());
    CHECK(fixture.access().size() == 1);
}

TEST_CASE("a connection that does not speak TLS is closed and learns nothing", "[http]") {
    Fixture fixture;
    fixture.config.limits.handshake_timeout_ms = 100;
    fixture.config.limits.linger_timeout_ms = 100;
    fixture.start();
    CHECK(exchange_plain(fixture.port(), "").empty());
    CHECK(exchange_plain(fixture.port(), get("/")).find("HTTP") == std::string::npos);
    CHECK(exchange_plain(fixture.port(), std::string("\x16\x03\x01", 3)).empty());
    CHECK(Client(fixture.port()).ask(get("/")).status == 200);
    fixture.server->drain(10'000);
    CHECK(fixture.access().size() == 1);
}

TEST_CASE("connections over the cap are told so, and those far over it are closed", "[http]") {
    Fixture fixture;
    fixture.config.limits.connections_max = 2;
    fixture.config.limits.connections_refused_max = 1;
    fixture.start();
    Client first(fixture.port());
    Client second(fixture.port());
    CHECK(first.ask(get("/")).status == 200);
    CHECK(second.ask(get("/")).status == 200);
    Client third(fixture.port());
    REQUIRE(third.is_connected());
    CHECK_FALSE(Client(fixture.port()).is_connected());
    const Answer answer = third.ask(get("/"));
    CHECK(answer.header("retry-after") == "1");
    check_refusal(third, answer, 503, "queue_full");
    CHECK(first.ask(get("/")).status == 200);
}

}  // namespace fallow::http::testing
