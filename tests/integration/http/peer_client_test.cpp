// The client of one server to another, against our own server.
#include "http/peer_client.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>

#include "support.hpp"

namespace fallow::http::testing {
namespace {

bool always() {
    return true;
}

/// A server and a client with certificates of the same authority.
struct Pair {
    Pair() { fixture.config.tls.client_ca_pem = fixture.authority.certificate_pem(); }
    [[nodiscard]] PeerSettings settings() const {
        const KeyPair own = fixture.authority.issue("a replica", 8);
        return {"127.0.0.1:" + std::to_string(fixture.port()), fixture.authority.certificate_pem(),
                own.certificate_pem, own.key_pem, std::time(nullptr)};
    }
    Fixture fixture;
};

Request a_request() {
    Request request;
    request.method = Method::post;
    request.target = "/v1/things?a=1";
    request.headers = {{"idempotency-key", "k"}, {"connection", "close"}, {"content-length", "999"}};
    request.body = "hello";
    return request;
}

}  // namespace

TEST_CASE("a peer's requests arrive whole, with its certificate, on one connection", "[http][peer]") {
    Pair pair;
    pair.fixture.service.handler = [](Request request, const ScriptedService::Respond& respond) {
        Reply reply;
        reply.status = 201;
        reply.body = request.target + ' ' + request.body + ' ' + *request.header("idempotency-key") + ' ' +
                     (request.certificate ? request.certificate->common_name : "nobody");
        reply.headers = {{"ETag", "\"7\""}};
        respond(std::move(reply));
    };
    pair.fixture.start();
    PeerClient client(pair.settings(), always);
    for (int i = 0; i < 3; ++i) {
        const Reply reply = client.exchange(a_request(), always);
        CHECK(reply.status == 201);
        CHECK(reply.content_type == "application/json");
        CHECK(reply.body == "/v1/things?a=1 hello k a replica");
        CHECK(std::ranges::find(reply.headers, Fields::value_type("ETag", "\"7\"")) != reply.headers.end());
        // The session that passes it on writes these itself.
        for (const auto& [name, value] : reply.headers) {
            CHECK(name != "X-Request-Id");
            CHECK(name != "Strict-Transport-Security");
        }
        CHECK(client.is_alive());
    }
    pair.fixture.server->drain(10'000);
    CHECK_FALSE(client.is_alive());
}

TEST_CASE("a reply without a body ends with its head", "[http][peer]") {
    Pair pair;
    pair.fixture.service.handler = [](const Request&, const ScriptedService::Respond& respond) {
        Reply reply;
        reply.status = 204;
        respond(std::move(reply));
    };
    pair.fixture.start();
    PeerClient client(pair.settings(), always);
    CHECK(client.exchange(a_request(), always).status == 204);
    CHECK(client.exchange(a_request(), always).body.empty());
}

TEST_CASE("who cannot be reached, or is not of this installation, was sent nothing", "[http][peer]") {
    Pair pair;
    pair.fixture.start();
    PeerSettings settings = pair.settings();
    SECTION("nobody listens") {
        pair.fixture.server->drain(10'000);
    }
    SECTION("another authority's server") {
        settings.ca_pem = Authority("another").certificate_pem();
    }
    SECTION("no address") {
        settings.address = "nowhere";
    }
    try {
        PeerClient client(settings, always);
        FAIL("connected");
    } catch (const PeerError& error) {
        CHECK_FALSE(error.may_have_acted());
    }
}

TEST_CASE("after the request went out, its outcome is unknown without a reply", "[http][peer]") {
    Pair pair;
    Event arrived;
    Event answer;
    pair.fixture.service.handler = [&](const Request& request, const ScriptedService::Respond& respond) {
        arrived.set();
        answer.wait();
        respond(ScriptedService::echo(request));
    };
    pair.fixture.start();
    PeerClient client(pair.settings(), always);
    try {
        static_cast<void>(client.exchange(a_request(), [&] { return !arrived.is_set(); }));
        FAIL("answered");
    } catch (const PeerError& error) {
        CHECK(error.may_have_acted());
    }
    answer.set();
}

}  // namespace fallow::http::testing
