// Whom the transport trusts, against real TLS.
#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <ctime>
#include <optional>

#include "fallow/http_client.hpp"
#include "unit/sdk/temporary_folder.hpp"
#include "unit/sdk/tls_server.hpp"

namespace fallow::sdk {
namespace {

using testing::TemporaryFolder;
using testing::TestAuthority;
using testing::TlsServer;

struct Bench {
    Bench() { std::signal(SIGPIPE, SIG_IGN); }  // a client that hangs up must not end the test's server

    TemporaryFolder folder;
    TestAuthority authority;
    TestAuthority stranger;

    HttpClientOptions options(const std::string& host, int port, const TestAuthority& trusted) const {
        HttpClientOptions options;
        options.base_url = "https://" + host + ":" + std::to_string(port);
        options.ca_file = folder.write("ca.pem", trusted.certificate_pem());
        return options;
    }
};

std::optional<TransportErrorKind> failure_of(const HttpClientOptions& options) {
    try {
        HttpClient client(options);
        static_cast<void>(client.send({}));
    } catch (const TransportError& error) {
        return error.kind();
    }
    return std::nullopt;
}

TEST_CASE("a server of the pinned authority is trusted, and no other") {
    const Bench bench;
    const TlsServer server(bench.authority, "IP:127.0.0.1");
    CHECK(failure_of(bench.options("127.0.0.1", server.port(), bench.authority)) == std::nullopt);
    CHECK(failure_of(bench.options("127.0.0.1", server.port(), bench.stranger)) == TransportErrorKind::tls);
    HttpClientOptions unpinned = bench.options("127.0.0.1", server.port(), bench.authority);
    unpinned.ca_file.clear();
    CHECK(failure_of(unpinned) == TransportErrorKind::tls);
}

TEST_CASE("a certificate for another name is refused") {
    const Bench bench;
    const TlsServer server(bench.authority, "DNS:market.example");
    CHECK(failure_of(bench.options("127.0.0.1", server.port(), bench.authority)) ==
          TransportErrorKind::tls);
}

TEST_CASE("a certificate is judged by the clock that is given, not by the wall") {
    const Bench bench;
    const TlsServer server(bench.authority, "IP:127.0.0.1");  // valid from an hour ago to an hour from now
    HttpClientOptions options = bench.options("127.0.0.1", server.port(), bench.authority);
    const std::int64_t wall = std::time(nullptr);
    options.unix_seconds = [wall] { return wall + 3000; };
    CHECK(failure_of(options) == std::nullopt);
    for (const std::int64_t ahead : {86'400, -86'400}) {
        options.unix_seconds = [=] { return wall + ahead; };
        CHECK(failure_of(options) == TransportErrorKind::tls);
    }
}

TEST_CASE("TLS before 1.2 is refused") {
    const Bench bench;
    const TlsServer current(bench.authority, "IP:127.0.0.1", TLS1_2_VERSION);
    CHECK(failure_of(bench.options("127.0.0.1", current.port(), bench.authority)) == std::nullopt);
    const TlsServer old(bench.authority, "IP:127.0.0.1", TLS1_1_VERSION);
    CHECK(failure_of(bench.options("127.0.0.1", old.port(), bench.authority)) == TransportErrorKind::tls);
}

TEST_CASE("a client shows its certificate when it has one") {
    const Bench bench;
    const TlsServer server(bench.authority, "IP:127.0.0.1");
    HttpClientOptions options = bench.options("127.0.0.1", server.port(), bench.authority);
    HttpClient nobody(options);
    CHECK(nobody.send({}).body.empty());
    const auto identity = bench.authority.issue("host_1", "");
    options.client_certificate_file = bench.folder.write("client.pem", identity.certificate_pem);
    options.client_key_file = bench.folder.write("client.key", identity.key_pem);
    HttpClient host(options);
    CHECK(host.send({}).body == "host_1");
    options.client_key_file = bench.folder.write("other.key", bench.authority.issue("host_2", "").key_pem);
    CHECK(failure_of(options) == TransportErrorKind::tls);
}

}  // namespace
}  // namespace fallow::sdk
