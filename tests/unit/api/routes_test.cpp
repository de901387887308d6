// The route table against the contract: each has every route of the other, and every row knows who may call
// it.
#include "api/routes.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "http/router.hpp"
#include "support/paths.hpp"

using namespace fallow;
using namespace fallow::api;

namespace {

/// "{anything}" is "{}": the contract and the table need not agree on the names of parameters.
std::string without_names(std::string_view pattern) {
    std::string shape;
    bool inside = false;
    for (const char c : pattern) {
        if (c == '}') inside = false;
        if (!inside) shape += c;
        if (c == '{') inside = true;
    }
    return shape;
}

/// "GET /v1/leases/{}" for each operation under `paths:`. The file's layout is fixed by its linter: a path
/// stands two spaces in, its methods four.
std::set<std::string> contract_routes() {
    std::ifstream file(fallow::testing::source_dir() + "/schema/openapi.yaml");
    REQUIRE(file.good());
    const std::set<std::string> methods{"get", "post", "put", "patch", "delete"};
    std::set<std::string> routes;
    std::string line;
    std::string path;
    bool in_paths = false;
    while (std::getline(file, line)) {
        if (!line.empty() && line[0] != ' ' && line[0] != '#') in_paths = line.starts_with("paths:");
        if (!in_paths) continue;
        if (line.starts_with("  /") && line.find(':') != std::string::npos)
            path = line.substr(2, line.find(':') - 2);
        if (!line.starts_with("    ") || line.starts_with("     ")) continue;
        std::string method = line.substr(4, line.find(':') - 4);
        if (!methods.contains(method)) continue;
        std::ranges::transform(method, method.begin(),
                               [](char c) { return static_cast<char>(c - 'a' + 'A'); });
        routes.insert(method + " " + without_names(path));
    }
    return routes;
}

std::set<std::string> table_routes() {
    std::set<std::string> routes;
    for (const Route& route : make_routes())
        routes.insert(without_names(route.name()));
    return routes;
}

std::set<std::string> difference(const std::set<std::string>& a, const std::set<std::string>& b) {
    std::set<std::string> only;
    std::ranges::set_difference(a, b, std::inserter(only, only.end()));
    return only;
}

}  // namespace

TEST_CASE("the table and the contract have the same routes") {
    const auto contract = contract_routes();
    const auto table = table_routes();
    CHECK(contract.size() > 60);
    CHECK(difference(table, contract) == std::set<std::string>{});
    CHECK(difference(contract, table) == std::set<std::string>{});
    CHECK(table.size() == make_routes().size());
}

TEST_CASE("every row has its access where its path says who calls") {
    const std::set<std::string> open{"/livez",        "/readyz",    "/metrics",
                                     "/openapi.json", "/v1/server", "/v1/agent/enroll"};
    for (const Route& route : make_routes()) {
        INFO(route.name());
        const Access::Kind kind = route.access.kind();
        CHECK((kind == Access::Kind::open) == open.contains(route.pattern));
        if (kind != Access::Kind::open) {
            CHECK((kind == Access::Kind::agent) == route.pattern.starts_with("/v1/agent/"));
            CHECK(route.access.is_admin() == route.pattern.starts_with("/v1/admin/"));
        }
    }
}

TEST_CASE("a key that only reads reaches no row that writes") {
    const auth::ScopeSet reading{auth::Scope::seller_read, auth::Scope::renter_read};
    for (const Route& route : make_routes()) {
        if (route.access.kind() != Access::Kind::key || route.method == http::Method::get) continue;
        // Its own organization's keys, no wider than itself.
        if (route.pattern.starts_with("/v1/keys")) continue;
        INFO(route.name());
        auth::ScopeSet common;
        for (const auth::Scope scope : {auth::Scope::seller_read, auth::Scope::renter_read})
            if (route.access.any_of().has(scope)) common.insert(scope);
        CHECK(common.empty());
        CHECK_FALSE(route.access.any_of().empty());
    }
}

TEST_CASE("what creates or moves needs an Idempotency-Key, and what reads brings no body") {
    for (const Route& route : make_routes()) {
        INFO(route.name());
        // A tunnel is the connection itself: it begins with no body, and no reply could be repeated.
        const bool is_tunnel =
            route.pattern == "/v1/jobs/{job}/tunnels" || route.pattern == "/v1/agent/tunnels/{tunnel}";
        if (is_tunnel) {
            CHECK((!route.needs_idempotency_key && route.body.type == Body::Type::none));
            continue;
        }
        const bool is_post_by_key =
            route.method == http::Method::post && route.access.kind() == Access::Kind::key;
        CHECK(route.needs_idempotency_key == is_post_by_key);
        const bool has_body = route.body.type != Body::Type::none;
        const bool may_bring = route.method == http::Method::post || route.method == http::Method::put ||
                               route.method == http::Method::patch;
        CHECK(has_body == may_bring);
        // What is dropped as it comes may be more than what is kept.
        if (route.body.type != Body::Type::dropped)
            CHECK(route.body.bytes_max <= limits::request_body_bytes_max);
    }
}

TEST_CASE("the router takes every row") {
    http::Router router;
    for (const Route& route : make_routes())
        static_cast<void>(router.add(route.method, route.pattern));
    CHECK(router.match(http::Method::get, "/v1/leases/x").ok());
    CHECK(router.match(http::Method::get, "/v2/leases").error().code == ErrorCode::route_not_found);
    CHECK(router.match(http::Method::del, "/v1/leases").error().code == ErrorCode::method_not_allowed);
}
