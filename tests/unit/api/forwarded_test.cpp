// What one server tells another about a request counts between servers alone.
#include "api/forwarded.hpp"

#include <catch2/catch.hpp>

#include "auth/authority.hpp"

using namespace fallow;
using namespace fallow::api;

namespace {

http::PeerCertificate replica() {
    return {std::string(auth::replica_common_name), "0a", "ff"};
}

http::Request from_a_host() {
    http::Request request;
    request.request_id = "req_first";
    request.remote_address = "198.41.0.4";
    request.headers = {{"authorization", "Bearer x"}, {"fallow-forwarded-request-id", "req_forged"}};
    request.certificate = http::PeerCertificate{"host_1", "01ab", "cd"};
    return request;
}

}  // namespace

TEST_CASE("a forwarded request arrives as the client sent it") {
    http::Request request = from_a_host();
    mark_forwarded(request);
    // On its way it gets the leader's view of the connection.
    request.request_id = "req_second";
    request.remote_address = "10.0.0.2";
    request.certificate = replica();
    CHECK(is_from_replica(request));
    CHECK(take_forwarded(request));
    CHECK(request.remote_address == "198.41.0.4");
    CHECK(request.request_id == "req_first");
    REQUIRE(request.certificate);
    CHECK(request.certificate->common_name == "host_1");
    CHECK(request.certificate->serial_hex == "01ab");
    CHECK(request.certificate->fingerprint_sha256 == "cd");
    CHECK(request.headers == http::Fields{{"authorization", "Bearer x"}});
}

TEST_CASE("a forwarded request without a client certificate arrives without one") {
    http::Request request = from_a_host();
    request.certificate.reset();
    mark_forwarded(request);
    request.certificate = replica();
    CHECK(take_forwarded(request));
    CHECK_FALSE(request.certificate);
}

TEST_CASE("from a server that says nothing of the client's address it is not known") {
    http::Request request;
    request.remote_address = "10.0.0.2";
    request.certificate = replica();
    CHECK(take_forwarded(request));
    CHECK(request.remote_address.empty());
}

TEST_CASE("from anybody but a replica the headers are dropped and nothing else changes") {
    http::Request request = from_a_host();
    mark_forwarded(request);
    request.request_id = "req_own";
    SECTION("a host") {
        request.certificate = http::PeerCertificate{"host_2", "02", "ee"};
        CHECK_FALSE(take_forwarded(request));
        CHECK(request.certificate->common_name == "host_2");
    }
    SECTION("nobody in particular") {
        request.certificate.reset();
        CHECK_FALSE(take_forwarded(request));
        CHECK_FALSE(request.certificate);
    }
    CHECK(request.request_id == "req_own");
    CHECK(request.remote_address == "198.41.0.4");
    CHECK(request.headers == http::Fields{{"authorization", "Bearer x"}});
}
