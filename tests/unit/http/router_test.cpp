#include "http/router.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace fallow::http {
namespace {

struct Routes {
    Router router;
    std::size_t leases = router.add(Method::get, "/v1/leases");
    std::size_t lease = router.add(Method::get, "/v1/leases/{lease}");
    std::size_t end = router.add(Method::post, "/v1/leases/{lease}/end");
    std::size_t part = router.add(Method::put, "/v1/artifacts/{artifact}/parts/{part}");
    std::size_t order = router.add(Method::get, "/v1/orders/{order}");
    std::size_t quote = router.add(Method::post, "/v1/orders/quote");
    std::size_t remove = router.add(Method::del, "/v1/orders/{order}");
    std::size_t explain = router.add(Method::get, "/v1/orders/explain");
    std::size_t root = router.add(Method::get, "/");
    std::size_t lease_head = router.add(Method::head, "/v1/leases/{lease}");
};

}  // namespace

TEST_CASE("routes are found, literals before parameters", "[http][router]") {
    const Routes routes;
    struct Row {
        Method method;
        std::string path;
        std::size_t index;
        Fields parameters;
    };
    const std::vector<Row> rows = {
        {Method::get, "/", routes.root, {}},
        {Method::head, "/", routes.root, {}},
        {Method::get, "/v1/leases", routes.leases, {}},
        {Method::head, "/v1/leases", routes.leases, {}},
        {Method::get, "/v1/leases/lease_1", routes.lease, {{"lease", "lease_1"}}},
        {Method::head, "/v1/leases/lease_1", routes.lease_head, {{"lease", "lease_1"}}},
        {Method::post, "/v1/leases/a b/end", routes.end, {{"lease", "a b"}}},
        {Method::put, "/v1/artifacts/x/parts/7", routes.part, {{"artifact", "x"}, {"part", "7"}}},
        {Method::get, "/v1/orders/explain", routes.explain, {}},
        {Method::get, "/v1/orders/quote", routes.order, {{"order", "quote"}}},
        {Method::post, "/v1/orders/quote", routes.quote, {}},
        {Method::del, "/v1/orders/explain", routes.remove, {{"order", "explain"}}},
    };
    for (const Row& row : rows) {
        INFO(name_of(row.method) << " " << row.path);
        const Result<RouteMatch> found = routes.router.match(row.method, row.path);
        REQUIRE(found);
        CHECK(found->index == row.index);
        CHECK(found->parameters == row.parameters);
    }
}

TEST_CASE("what is not routed is told apart: no path, or not this method", "[http][router]") {
    const Routes routes;
    struct Row {
        Method method;
        std::string path;
        ErrorCode code;
        std::string allowed;
    };
    const std::vector<Row> rows = {
        {Method::get, "/v1", ErrorCode::route_not_found, ""},
        {Method::get, "/v1/leases/", ErrorCode::route_not_found, ""},
        {Method::get, "/V1/leases", ErrorCode::route_not_found, ""},
        {Method::get, "/v1/leases/a/b", ErrorCode::route_not_found, ""},
        {Method::get, "v1/leases/x/y/z", ErrorCode::route_not_found, ""},
        {Method::post, "/v1/leases", ErrorCode::method_not_allowed, "GET, HEAD"},
        {Method::head, "/v1/leases/a/end", ErrorCode::method_not_allowed, "POST"},
        {Method::get, "/v1/leases/a/end", ErrorCode::method_not_allowed, "POST"},
        {Method::options, "/v1/orders/quote", ErrorCode::method_not_allowed, "GET, HEAD, POST, DELETE"},
    };
    for (const Row& row : rows) {
        INFO(name_of(row.method) << " " << row.path);
        const Result<RouteMatch> found = routes.router.match(row.method, row.path);
        REQUIRE_FALSE(found);
        CHECK(found.error().code == row.code);
        CHECK(routes.router.allowed(row.path) == row.allowed);
    }
}

}  // namespace fallow::http
