// The agent's /metrics over a real socket.
#include "agent/metrics_listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

using namespace fallow::agent;
using Catch::Matchers::Contains;

namespace {

/// Everything that comes back for `request`.
std::string ask(std::uint16_t port, const std::string& request) {
    const fallow::guard::Descriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(request.size()));
    ::shutdown(fd.get(), SHUT_WR);
    std::string reply;
    std::array<char, 4096> piece{};
    for (ssize_t n = 0; (n = ::recv(fd.get(), piece.data(), piece.size(), 0)) > 0;)
        reply.append(piece.data(), static_cast<std::size_t>(n));
    return reply;
}

}  // namespace

TEST_CASE("the metrics are answered to GET, and nothing else is there") {
    const MetricsListener listener("127.0.0.1:0", [] { return "one 1\n"; });
    struct Row {
        std::string request;
        std::string status;
    };
    const std::vector<Row> rows = {
        {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n"},
        {"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n"},
        {"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
        {"GET /metrics\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
    };
    for (const Row& row : rows) {
        INFO(row.request);
        CHECK(ask(listener.port(), row.request).starts_with(row.status));
    }
    const std::string page = ask(listener.port(), rows[0].request);
    CHECK_THAT(page, Contains("Content-Type: text/plain; version=0.0.4"));
    CHECK_THAT(page, Contains("Content-Length: 6\r\n"));
    CHECK(page.ends_with("\r\n\r\none 1\n"));
}

TEST_CASE("a head that is too long or never ends is answered with nothing, and the next one is served") {
    const MetricsListener listener("localhost:0", [] { return "one 1\n"; });
    CHECK(ask(listener.port(), "GET /metrics HTTP/1.1\r\nX: " + std::string(10'000, 'x')).empty());
    CHECK(ask(listener.port(), "GET /metrics HTTP/1.1\r\n").empty());
    CHECK(ask(listener.port(), "GET /metrics HTTP/1.1\r\n\r\n").ends_with("one 1\n"));
}

TEST_CASE("a page that cannot be made does not end the listener") {
    bool fails = true;
    const MetricsListener listener("127.0.0.1:0", [&]() -> std::string {
        if (std::exchange(fails, false)) throw std::runtime_error("not now");
        return "one 1\n";
    });
    CHECK(ask(listener.port(), "GET /metrics HTTP/1.1\r\n\r\n").empty());
    CHECK(ask(listener.port(), "GET /metrics HTTP/1.1\r\n\r\n").ends_with("one 1\n"));
}

TEST_CASE("only loopback is listened on") {
    struct Row {
        const char* address;
        const char* what;
    };
    const std::vector<Row> rows = {{"0.0.0.0:9400", "others could reach it"},
                                   {"[::]:9400", "others could reach it"},
                                   {"192.0.2.1:9400", "others could reach it"},
                                   {"example.com:9400", "it is no address"},
                                   {"127.0.0.1", "it has no port"},
                                   {"127.0.0.1:", "its port is no number"},
                                   {"127.0.0.1:65536", "its port is no number"},
                                   {"[127.0.0.1]:1", "it is no address"}};
    for (const Row& row : rows) {
        INFO(row.address);
        CHECK_THROWS_WITH(MetricsListener(row.address, [] { return std::string(); }),
                          Contains(row.what) && Contains("127.0.0.1:9400"));
    }
    const MetricsListener first("127.0.0.1:0", [] { return std::string(); });
    CHECK_THROWS_WITH(
        MetricsListener("127.0.0.1:" + std::to_string(first.port()), [] { return std::string(); }),
        Contains("in use"));
}
