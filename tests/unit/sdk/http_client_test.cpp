#include "fallow/http_client.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <optional>

#include "unit/sdk/scripted_server.hpp"

namespace fallow::sdk {
namespace {

using testing::broken;
using testing::closed_url;
using testing::reply;
using testing::ScriptedServer;

HttpClient client_of(const std::string& url, const std::string& key = {}) {
    HttpClientOptions options;
    options.base_url = url;
    options.bearer_key = key;
    options.response_bytes_max = 1'000;
    return HttpClient(options);
}

HttpRequest request_of(std::string method, std::string path, std::string body = {}) {
    HttpRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.body = std::move(body);
    return request;
}

std::optional<TransportErrorKind> failure_of(HttpClient& client, const HttpRequest& request) {
    try {
        static_cast<void>(client.send(request));
    } catch (const TransportError& error) {
        return error.kind();
    }
    return std::nullopt;
}

TEST_CASE("a request goes out as it was written") {
    ScriptedServer server({reply(200, "hello", "X-Thing:  a b \r\n")});
    HttpClient client = client_of(server.url() + "/base/", "secret");
    HttpRequest request = request_of("POST", "/v1/x?y=1", "{}");
    request.content_type = "application/json";
    request.headers = {{"Idempotency-Key", "k1"}, {"X-Empty", ""}};
    const HttpResponse response = client.send(request);
    CHECK(response.status == 200);
    CHECK(response.body == "hello");
    CHECK(response.header("x-thing") == "a b");
    CHECK(response.header("X-Thing").empty());
    const auto sent = server.requests().at(0);
    CHECK(sent.line() == "POST /base/v1/x?y=1 HTTP/1.1");
    CHECK(sent.header("Authorization") == "Bearer secret");
    CHECK(sent.header("Content-Type") == "application/json");
    CHECK(sent.header("Content-Length") == "2");
    CHECK(sent.header("Idempotency-Key") == "k1");
    CHECK(sent.header("Expect").empty());
    CHECK(sent.head.find("X-Empty:") != std::string::npos);
    CHECK(sent.body == "{}");
}

TEST_CASE("every method has the body it should have") {
    ScriptedServer server({reply(200, ""), reply(204, ""), reply(200, ""), reply(204, ""), reply(200, "")});
    HttpClient client = client_of(server.url());
    CHECK(client.send(request_of("GET", "/")).status == 200);
    CHECK(client.send(request_of("DELETE", "/")).status == 204);
    CHECK(client.send(request_of("POST", "/")).status == 200);
    CHECK(client.send(request_of("PUT", "/", std::string(300'000, 'x'))).status == 204);
    CHECK(client.send(request_of("GET", "/")).status == 200);
    const auto sent = server.requests();
    CHECK(sent.at(0).header("Content-Length").empty());
    CHECK(sent.at(1).header("Content-Length").empty());
    CHECK(sent.at(2).header("Content-Length") == "0");
    CHECK(sent.at(3).body == std::string(300'000, 'x'));
    CHECK(sent.at(4).header("Content-Length").empty());
    CHECK(sent.at(4).line() == "GET / HTTP/1.1");
    CHECK(server.connections() == 1);  // one connection served them all
}

TEST_CASE("a body may come from a source") {
    ScriptedServer server({reply(200, ""), reply(200, "")});
    HttpClient client = client_of(server.url());
    const std::string text = "abcdef";
    for (const std::int64_t announced : {std::int64_t{-1}, std::int64_t{6}}) {
        std::size_t sent = 0;
        HttpRequest request = request_of("PUT", "/");
        request.body_source_bytes = announced;
        request.body_source = [&](char* buffer, std::size_t) -> std::size_t {
            if (sent == text.size()) return 0;
            *buffer = text[sent++];
            return 1;
        };
        CHECK(client.send(request).status == 200);
    }
    CHECK(server.requests().at(0).header("Transfer-Encoding") == "chunked");
    CHECK(server.requests().at(0).body == text);
    CHECK(server.requests().at(1).header("Content-Length") == "6");
    CHECK(server.requests().at(1).body == text);
}

TEST_CASE("a connection the server closed is replaced") {
    ScriptedServer server({{reply(200, "a").bytes, true}, reply(200, "b")});
    HttpClient client = client_of(server.url());
    CHECK(client.send(request_of("POST", "/", "1")).body == "a");
    CHECK(client.send(request_of("POST", "/", "2")).body == "b");
    CHECK(server.connections() == 2);
}

TEST_CASE("no redirect is followed, and the key goes nowhere else") {
    ScriptedServer elsewhere({reply(200, "stolen")});
    ScriptedServer server({reply(302, "", "Location: " + elsewhere.url() + "/\r\n")});
    HttpClient client = client_of(server.url(), "secret");
    CHECK(client.send(request_of("GET", "/")).status == 302);
    CHECK(elsewhere.requests().empty());
}

TEST_CASE("failures have their kind") {
    SECTION("nobody listens") {
        HttpClient client = client_of(closed_url());
        CHECK(failure_of(client, request_of("GET", "/")) == TransportErrorKind::refused);
        CHECK(is_refused(client.options(), 5000));
    }
    SECTION("somebody listens") {
        ScriptedServer server({reply(200, "here")});
        HttpClient client = client_of(server.url());
        CHECK_FALSE(is_refused(client.options(), 5000));
        CHECK(server.requests().empty());
    }
    SECTION("no such host") {
        HttpClient client = client_of("https://name.invalid");
        CHECK(failure_of(client, request_of("GET", "/")) == TransportErrorKind::refused);
    }
    SECTION("the connection breaks") {
        ScriptedServer server({broken()});
        HttpClient client = client_of(server.url());
        CHECK(failure_of(client, request_of("GET", "/")) == TransportErrorKind::other);
    }
    SECTION("the reply is cut short") {
        ScriptedServer server({{"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nabc", true}});
        HttpClient client = client_of(server.url());
        CHECK(failure_of(client, request_of("GET", "/")) == TransportErrorKind::other);
    }
    SECTION("the reply never comes") {
        ScriptedServer server({{"HTTP/1.1 200 X\r\n", false}});
        HttpClient client = client_of(server.url());
        HttpRequest request = request_of("GET", "/");
        request.timeout_ms = 50;
        CHECK(failure_of(client, request) == TransportErrorKind::timeout);
    }
    SECTION("the reply is too large") {
        ScriptedServer server({reply(200, std::string(1'001, 'x')), reply(200, std::string(1'000, 'x'))});
        HttpClient client = client_of(server.url());
        CHECK(failure_of(client, request_of("GET", "/")) == TransportErrorKind::too_large);
        CHECK(client.send(request_of("GET", "/")).body.size() == 1'000);
    }
    SECTION("the authority's file is not there") {
        ScriptedServer server({});
        HttpClientOptions options;
        options.base_url = "https" + server.url().substr(std::strlen("http"));
        options.ca_file = "/no/such/file.pem";
        HttpClient client(options);
        CHECK(failure_of(client, request_of("GET", "/")) == TransportErrorKind::tls);
    }
    SECTION("a stop was requested") {
        ScriptedServer server({{"HTTP/1.1 200 X\r\n", false}});
        HttpClient client = client_of(server.url());
        std::stop_source source;
        source.request_stop();
        HttpRequest request = request_of("GET", "/");
        request.stop = source.get_token();
        CHECK(failure_of(client, request) == TransportErrorKind::cancelled);
    }
}

TEST_CASE("a client refuses what it must not do") {
    CHECK_THROWS_AS(client_of("ftp://127.0.0.1"), std::invalid_argument);
    CHECK_THROWS_AS(client_of("127.0.0.1:80"), std::invalid_argument);
    CHECK_THROWS_AS(client_of("http://example.com", "secret"), std::invalid_argument);
    CHECK_THROWS_AS(client_of("http://127.0.0.1@example.com", "secret"), std::invalid_argument);
    CHECK_THROWS_AS(client_of("http://127.0.0.1.example.com", "secret"), std::invalid_argument);
    CHECK_NOTHROW(client_of("http://localhost:1", "secret"));
    CHECK_NOTHROW(client_of("http://[::1]:1", "secret"));
    ScriptedServer server({reply(200, "")});
    HttpClient client = client_of(server.url());
    HttpRequest request = request_of("GET", "/");
    request.headers = {{"Idempotency-Key", "a\r\nX-Injected: 1"}};
    CHECK_THROWS_AS(client.send(request), std::invalid_argument);
    CHECK(server.requests().empty());
}

TEST_CASE("a stream gives its head first, then its pieces") {
    ScriptedServer server(
        {{"HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
          "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nX-Real: 1\r\n\r\n"
          "3\r\nabc\r\n3\r\ndef\r\n0\r\nX-Trailer: 1\r\n\r\n"}});
    HttpClient client = client_of(server.url());
    std::string seen;
    const auto on_head = [&](const HttpResponse& head) {
        seen += "[" + std::to_string(head.status) + std::string(head.header("x-real")) +
                std::string(head.header("x-interim")) + std::string(head.header("x-trailer")) + "]";
    };
    const HttpResponse response =
        client.stream(request_of("GET", "/"), on_head, [&](std::string_view chunk) {
            seen += chunk;
            return true;
        });
    CHECK(seen == "[2001]abcdef");
    CHECK(response.status == 200);
    CHECK(response.body.empty());
}

TEST_CASE("a stream has no bound, can be left, and passes exceptions on") {
    const std::string large(100'000, 'x');
    ScriptedServer server({reply(200, large), reply(200, large), reply(200, large), reply(404, "gone")});
    HttpClient client = client_of(server.url());
    std::size_t bytes = 0;
    client.stream(request_of("GET", "/"), {}, [&](std::string_view chunk) {
        bytes += chunk.size();
        return true;
    });
    CHECK(bytes == large.size());
    int calls = 0;
    client.stream(request_of("GET", "/"), {}, [&](std::string_view) {
        ++calls;
        return false;
    });
    CHECK(calls == 1);
    CHECK_THROWS_AS(client.stream(request_of("GET", "/"), {},
                                  [](std::string_view) -> bool { throw std::domain_error("mine"); }),
                    std::domain_error);
    const HttpResponse refused = client.stream(request_of("GET", "/"), {}, [](std::string_view) -> bool {
        FAIL("an error's body is not part of the stream");
        return true;
    });
    CHECK(refused.status == 404);
    CHECK(refused.body == "gone");
}

TEST_CASE("a stream that falls silent is given up") {
    ScriptedServer server({{"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", false}});
    HttpClient client = client_of(server.url());
    HttpRequest request = request_of("GET", "/");
    request.timeout_ms = 0;
    request.idle_timeout_ms = 1;
    try {
        client.stream(request, {}, [](std::string_view) { return true; });
        FAIL("the stream ended without an error");
    } catch (const TransportError& error) {
        CHECK(error.kind() == TransportErrorKind::timeout);
    }
}

}  // namespace
}  // namespace fallow::sdk
