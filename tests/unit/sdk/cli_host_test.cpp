// What a host's owner and renters read of its record, as the command line shows it.
#include <catch2/catch.hpp>

#include "fallow/host_types.hpp"
#include "fallow/json.hpp"
#include "fallow/types.hpp"
#include "unit/sdk/cli_bench.hpp"

namespace fallow::sdk {

using testing::Bench;
using testing::json;
using testing::Outcome;

TEST_CASE("a host's score is one number, and says what it follows from when it is asked") {
    constexpr std::int64_t hour_ms = 3'600'000;
    HostScore score;
    score.host_id = "host_1";
    score.reliability_ppm = 948'905;
    score.delivered_ms = 2 * hour_ms + hour_ms / 2;
    score.reclaimed_ms = hour_ms;
    score.failed_ms = hour_ms / 4;
    score.prior_delivered_ms = 95 * hour_ms;
    score.prior_failed_ms = 5 * hour_ms;
    Bench bench({json(200, to_json(score)), json(200, to_json(score))});

    const Outcome brief = bench({"host", "score", "host_1"});
    CHECK(brief.code == 0);
    CHECK(bench.sent(0) == "GET /v1/hosts/host_1/score");
    CHECK(brief.out.find("94.8905 %") != std::string::npos);
    CHECK(brief.out.find("delivered") == std::string::npos);

    const Outcome explained = bench({"host", "score", "host_1", "--explain"});
    CHECK(explained.code == 0);
    for (const char* text : {"94.8905 %", "2.50 h", "reclaimed (a quarter counts)", "1.00 h", "0.25 h",
                             "97.50 h of 102.75 h"}) {
        INFO(text);
        CHECK(explained.out.find(text) != std::string::npos);
    }
}

}  // namespace fallow::sdk
