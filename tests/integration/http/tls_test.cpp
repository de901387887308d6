// Which handshakes succeed, and what the service learns of a client certificate.
#include <catch2/catch.hpp>
#include <ctime>

#include "http/handshake_gate.hpp"
#include "integration/http/support.hpp"

namespace fallow::http::testing {
namespace {

/// Whether a client of this kind can get an answer. Under TLS 1.3 a client believes that its handshake is
/// done before the server has looked at its certificate, so only an answer proves anything.
bool is_served(std::uint16_t port, const ClientOptions& options) {
    try {
        Client client(port, options);
        return client.is_connected() && client.ask(get("/")).status == 200;
    } catch (const std::runtime_error&) {
        return false;
    }
}

}  // namespace

TEST_CASE("TLS 1.2 and 1.3 are spoken, older versions are refused", "[http][tls]") {
    Fixture fixture;
    fixture.start();
    struct Row {
        int version;
        bool is_served;
    };
    for (const Row row : {Row{TLS1_3_VERSION, true}, Row{TLS1_2_VERSION, true}, Row{TLS1_1_VERSION, false},
                          Row{TLS1_VERSION, false}}) {
        INFO(row.version);
        ClientOptions options;
        options.max_version = row.version;
        CHECK(is_served(fixture.port(), options) == row.is_served);
    }
}

TEST_CASE("ALPN takes http/1.1 or nothing", "[http][tls]") {
    Fixture fixture;
    fixture.start();
    ClientOptions options;
    options.alpn = {"h2", "http/1.1"};
    CHECK(Client(fixture.port(), options).alpn() == "http/1.1");
    options.alpn = {};
    CHECK(is_served(fixture.port(), options));
    options.alpn = {"h2"};
    CHECK_FALSE(is_served(fixture.port(), options));
}

TEST_CASE("a client certificate is optional, verified and passed on", "[http][tls]") {
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Fixture fixture;
    fixture.config.tls.client_ca_pem = fixture.authority.certificate_pem();
    fixture.service.handler = [](Request request, ScriptedService::Respond respond) {
        Reply reply;
        const auto& certificate = request.certificate;
        reply.body = certificate ? certificate->common_name + " " + certificate->serial_hex + " " +
                                       std::to_string(certificate->fingerprint_sha256.size())
                                 : "nobody";
        respond(std::move(reply));
    };
    fixture.start();
    ClientOptions options;
    options.max_version = version;
    CHECK(Client(fixture.port(), options).ask(get("/")).body == "nobody");

    options.certificate = fixture.authority.issue("host_7z", 0xabc1);
    Client known(fixture.port(), options);
    CHECK(known.ask(get("/")).body == "host_7z abc1 64");
    CHECK(known.ask(get("/")).body == "host_7z abc1 64");

    options.certificate = Authority("somebody else").issue("host_7z", 0xabc1);
    CHECK_FALSE(is_served(fixture.port(), options));
    // The right name on the authority does not help without its key.
    options.certificate = Authority("fallow test agents").issue("host_7z", 0xabc1);
    CHECK_FALSE(is_served(fixture.port(), options));
}

TEST_CASE("a client certificate is judged by the server's clock, not by the wall", "[http][tls]") {
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    // They live from an hour ago to an hour from now.
    const std::int64_t wall = std::time(nullptr);
    struct Row {
        std::int64_t ahead_s;
        bool is_served;
    };
    for (const Row row : {Row{0, true}, Row{3000, true}, Row{86'400, false}, Row{-86'400, false}}) {
        INFO(row.ahead_s);
        Fixture fixture;
        fixture.config.tls.client_ca_pem = fixture.authority.certificate_pem();
        fixture.config.tls.unix_seconds = [=] { return wall + row.ahead_s; };
        fixture.start();
        ClientOptions options;
        options.max_version = version;
        CHECK(is_served(fixture.port(), options));
        options.certificate = fixture.authority.issue("host_7z", 0xabc1);
        CHECK(is_served(fixture.port(), options) == row.is_served);
    }
}

TEST_CASE("a resumed session is still the certificate's", "[http][tls]") {
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    Fixture fixture;
    fixture.config.tls.client_ca_pem = fixture.authority.certificate_pem();
    fixture.service.handler = [](Request request, ScriptedService::Respond respond) {
        Reply reply;
        reply.body = request.certificate ? request.certificate->common_name : "nobody";
        respond(std::move(reply));
    };
    fixture.start();
    ClientOptions options;
    options.max_version = version;
    options.certificate = fixture.authority.issue("host_7z", 1);
    Client first(fixture.port(), options);
    CHECK(first.ask(get("/")).body == "host_7z");
    CHECK_FALSE(first.is_resumed());
    options.session = first.session();
    Client second(fixture.port(), options);
    CHECK(second.ask(get("/")).body == "host_7z");
    CHECK(second.is_resumed());
}

TEST_CASE("servers with one ticket secret resume each other's sessions", "[http][tls]") {
    struct Row {
        const char* what;
        const char* secret;
        std::int64_t ahead_s;
        int version;
        bool is_resumed;
    };
    const Row row =
        GENERATE(Row{"the same secret", "one", 0, TLS1_3_VERSION, true},
                 Row{"the key's next period", "one", 300, TLS1_3_VERSION, true},
                 Row{"a clock behind by one period", "one", -300, TLS1_3_VERSION, true},
                 Row{"a key that is too old", "one", 600, TLS1_3_VERSION, false},
                 Row{"another secret", "two", 0, TLS1_3_VERSION, false},
                 Row{"TLS 1.2 has no forward secrecy with tickets", "one", 0, TLS1_2_VERSION, false});
    INFO(row.what);
    const std::int64_t wall = std::time(nullptr);
    Fixture fixture;
    Fixture restarted;
    ClientOptions options;
    options.max_version = row.version;
    options.certificate = fixture.authority.issue("host_7z", 1);
    for (Fixture* each : {&fixture, &restarted}) {
        each->config.tls.client_ca_pem = fixture.authority.certificate_pem();
        each->config.tls.ticket_secret = each == &fixture ? "one" : row.secret;
        each->config.tls.unix_seconds = [wall, ahead_s = each == &fixture ? 0 : row.ahead_s] {
            return wall + ahead_s;
        };
        each->service.handler = [](Request request, ScriptedService::Respond respond) {
            Reply reply;
            reply.body = request.certificate ? request.certificate->common_name : "nobody";
            respond(std::move(reply));
        };
        each->start();
    }
    Client first(fixture.port(), options);
    CHECK(first.ask(get("/")).body == "host_7z");
    options.session = first.session();
    Client second(restarted.port(), options);
    CHECK(second.ask(get("/")).body == "host_7z");
    CHECK(second.is_resumed() == row.is_resumed);
}

TEST_CASE("handshakes beyond the most at once wait, the newest first, and end with the server",
          "[http][tls]") {
    HandshakeGate gate(2);
    std::vector<int> begun;
    std::vector<HandshakeGate::Place> places;
    for (int i = 0; i < 5; ++i)
        gate.enter([&begun, &places, i](HandshakeGate::Place place) {
            begun.push_back(i);
            if (i != 3) places.push_back(std::move(place));  // the fourth has gone meanwhile
        });
    const auto leave = [&places](std::size_t at) {
        const HandshakeGate::Place leaving = std::move(places[at]);  // whoever comes in is added to places
        places.erase(places.begin() + static_cast<std::ptrdiff_t>(at));
    };
    CHECK(begun == std::vector<int>{0, 1});
    leave(0);
    CHECK(begun == std::vector<int>{0, 1, 4});
    leave(1);
    CHECK(begun == std::vector<int>{0, 1, 4, 3, 2});

    begun.clear();
    gate.enter([&](const HandshakeGate::Place&) { begun.push_back(5); });
    CHECK(begun.empty());
    gate.open();
    CHECK(begun == std::vector<int>{5});
    places.clear();
}

TEST_CASE("a server without usable certificates or address does not start", "[http][tls]") {
    Fixture fixture;
    ServerConfig broken = fixture.config;
    broken.tls.private_key_pem = Authority("other").issue("localhost", 9).key_pem;
    CHECK_THROWS_AS(Server(broken, fixture.service), std::runtime_error);
    broken = fixture.config;
    broken.tls.client_ca_pem = "nothing";
    CHECK_THROWS_AS(Server(broken, fixture.service), std::runtime_error);

    fixture.start();
    ServerConfig taken = fixture.config;
    taken.port = fixture.port();
    CHECK_THROWS_AS(Server(taken, fixture.service), std::system_error);
}

}  // namespace fallow::http::testing
