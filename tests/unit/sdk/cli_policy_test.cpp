// The operator tries a policy on the command line.
#include <catch2/catch.hpp>
#include <fstream>

#include "fallow/json.hpp"
#include "fallow/market_types.hpp"
#include "unit/sdk/cli_bench.hpp"

namespace fallow::sdk {
namespace {

using testing::Bench;
using testing::json;

TEST_CASE("a draft is sent with the case it is tried on, and its verdict says that it is one") {
    Bench bench({json(200, R"({"effect":"deny","rule":"no-cn","reason":"a \"draft\"","model":"a30",)"
                           R"("tpp":2640,"performance_density_milli":null,"version":null})")});
    const auto file = bench.folder.path() / "draft";
    std::ofstream(file) << "deny no-cn when renter = CN because \"a draft\"\n";
    const auto outcome = bench({"admin", "policy", "test", "--file", file.string(), "--model", "a30",
                                "--host-country", "DE", "--renter-country", "CN"});
    CHECK(outcome.code == 0);
    CHECK(bench.sent(0) ==
          R"(POST /v1/admin/policy/test {"text":"deny no-cn when renter = CN because \"a draft\"\n",)"
          R"("model":"a30","host_country":"DE","renter_country":"CN"})");
    CHECK(outcome.out.find("no-cn") != std::string::npos);
    CHECK(outcome.out.find("a draft") != std::string::npos);
    const auto missing = bench({"admin", "policy", "test", "--file", file.string() + ".none",
                                "--host-country", "DE", "--renter-country", "CN"});
    CHECK(missing.code == 1);
}

}  // namespace
}  // namespace fallow::sdk
