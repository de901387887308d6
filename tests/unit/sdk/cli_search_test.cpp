// Saved searches on the command line.
#include <catch2/catch.hpp>

#include "fallow/json.hpp"
#include "fallow/search_types.hpp"
#include "unit/sdk/cli_bench.hpp"

namespace fallow::sdk {
namespace {

using testing::Bench;
using testing::json;
using testing::Outcome;
using testing::page;
using testing::problem;
using testing::reply;
using testing::Words;

TEST_CASE("what is asked of a saved search is sent with its name as it is") {
    const auto [arguments, request] = GENERATE(values<std::pair<Words, std::string>>({
        {{"search", "--saved", "cheap & near", "--limit", "5"},
         "GET /v1/search?saved=cheap%20%26%20near&limit=5"},
        {{"search", "--explain", "--saved", "all"}, "GET /v1/explain?saved=all"},
        {{"saved-search", "create", "cheap", "price", "<", "2"},
         R"(POST /v1/saved-searches {"name":"cheap","query":"price < 2"})"},
        {{"saved-search", "list"}, "GET /v1/saved-searches?limit=100"},
        {{"saved-search", "delete", "cheap"}, "GET /v1/saved-searches?limit=100"},
    }));
    CAPTURE(arguments);
    Bench bench({problem(409, "wrong_state", false)});
    CHECK(bench(arguments).code == 1);
    CHECK(bench.sent(0) == request);
}

TEST_CASE("a saved search is deleted by its name") {
    const SavedSearch cheap{"search_1", "org_1", "cheap", "price < 2", "2026-01-02T03:04:05.678Z"};
    Bench bench({json(200, page({to_json(cheap)})), reply(204, ""), json(200, page({}))});
    CHECK(bench({"saved-search", "delete", "cheap"}).err == "cheap is deleted\n");
    CHECK(bench.sent(1) == "DELETE /v1/saved-searches/search_1");
    const Outcome missing = bench({"saved-search", "delete", "cheap"});
    CHECK(missing.code == 1);
    CHECK(missing.err == "fallow: there is no saved search of this name\n");
}

}  // namespace
}  // namespace fallow::sdk
