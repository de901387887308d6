// Connections that are kept for whoever asks the server next; that they work is shown wherever an agent
// runs.
#include <catch2/catch.hpp>

#include "agent/server_link.hpp"

using namespace fallow;
using agent::IdleConnections;

namespace {

std::unique_ptr<sdk::HttpClient> a_connection() {
    sdk::HttpClientOptions options;
    options.base_url = "https://127.0.0.1:1";
    return std::make_unique<sdk::HttpClient>(options);
}

}  // namespace

TEST_CASE("a connection that was given is taken once, and only with the certificate it was made with") {
    IdleConnections idle;
    CHECK(idle.take("old") == nullptr);
    auto made = a_connection();
    const sdk::HttpClient* const first = made.get();
    idle.give("old", std::move(made));
    CHECK(idle.take("new") == nullptr);
    CHECK(idle.take("old").get() == first);
    CHECK(idle.take("old") == nullptr);

    idle.give("old", a_connection());
    made = a_connection();
    const sdk::HttpClient* const second = made.get();
    idle.give("new", std::move(made));
    CHECK(idle.take("old") == nullptr);
    CHECK(idle.take("new").get() == second);
    CHECK(idle.take("new") == nullptr);
}

TEST_CASE("no more connections are kept than a host has use for") {
    IdleConnections idle;
    for (int i = 0; i < 100; ++i)
        idle.give("one", a_connection());
    int kept = 0;
    while (idle.take("one"))
        ++kept;
    CHECK(kept == 8);
}
