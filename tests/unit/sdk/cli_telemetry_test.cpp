// What leases and jobs used, as the command line shows it.
#include <catch2/catch.hpp>

#include "fallow/json.hpp"
#include "fallow/telemetry_types.hpp"
#include "fallow/types.hpp"
#include "unit/sdk/cli_bench.hpp"

namespace fallow::sdk {
namespace {

using testing::Bench;
using testing::json;
using testing::Outcome;
using testing::Words;

constexpr std::int64_t gib = 1LL << 30;

UsePoint a_point(const std::string& at, std::int64_t thousandths) {
    UsePoint point;
    point.at = at;
    point.samples = 60;
    point.utilization_thousandths = UseLevel{thousandths, thousandths};
    point.memory_used_bytes = UseLevel{40 * gib, 40 * gib};
    return point;
}

LeaseTelemetry a_telemetry() {
    CardTelemetry card;
    card.card_id = "card_1";
    card.source = "nvml";
    card.memory_bytes = 80 * gib;
    card.minutes = 3;
    card.utilization_thousandths = UseSummary{125, 100, 1000, 1000};
    card.memory_used_bytes = UseSummary{9 * gib, 9 * gib, 9 * gib, 9 * gib + gib / 2};
    card.power_milliwatts = UseSummary{210'450, 210'000, 250'000, 260'000};
    card.temperature_celsius = UseSummary{54, 54, 56, 57};
    card.points = {a_point("2026-01-02T03:04:00.000Z", 0), a_point("2026-01-02T03:05:00.000Z", 500),
                   a_point("2026-01-02T03:07:00.000Z", 1000)};
    LeaseTelemetry telemetry;
    telemetry.lease_id = "lease_1";
    telemetry.job_id = "job_1";
    telemetry.role = "renter";
    telemetry.thousandths = 1000;
    telemetry.running_ms = 240'000;
    telemetry.from = "2026-01-02T03:04:00.000Z";
    telemetry.until = "2026-01-02T03:08:00.000Z";
    telemetry.step_ms = 60'000;
    telemetry.cards = {card};
    telemetry.efficiency = Efficiency{3, 125, "too_little_measured", {}};
    return telemetry;
}

}  // namespace

TEST_CASE("what a lease used is a table with a line over time, a gap where nothing was measured") {
    Bench bench({json(200, to_json(a_telemetry()))});
    const Outcome outcome = bench({"lease", "stats", "lease_1"});
    CHECK(outcome.code == 0);
    CHECK(bench.sent(0) == "GET /v1/leases/lease_1/telemetry?points=120");
    CHECK(outcome.out ==
          "lease      lease_1\n"
          "job        job_1\n"
          "of a card  1.000\n"
          "running    4m\n"
          "shown      2026-01-02T03:04:00.000Z to 2026-01-02T03:08:00.000Z by 1m\n"
          "\n"
          "card_1  3 minutes from the card's driver, memory 80 GiB\n"
          "             MEAN     P50      P95      MAX      OVER TIME\n"
          "utilisation  12.5 %   10.0 %   100.0 %  100.0 %  ▁▄ █\n"
          "memory       9 GiB    9 GiB    9 GiB    9.5 GiB  ▄▄ ▄\n"
          "power        210.4 W  210.0 W  250.0 W  260.0 W\n"
          "temperature  54 °C    54 °C    56 °C    57 °C\n"
          "\n"
          "used of what was paid  12.5 %\n"
          "hint                   none yet: it takes 10 measured minutes, and half of the running time\n");
}

TEST_CASE("a hint is shown as the server gives it, and what a seller may not see is left out") {
    LeaseTelemetry telemetry = a_telemetry();
    telemetry.efficiency = Efficiency{60, 125, "oversized", UseHint{}};
    telemetry.efficiency->hint->text = "peak memory 9 GiB of 80 GiB: a share would have done.";
    LeaseTelemetry of_seller = a_telemetry();
    of_seller.efficiency.reset();
    of_seller.cards[0].memory_used_bytes.reset();
    LeaseTelemetry nothing = a_telemetry();
    nothing.cards.clear();
    nothing.efficiency = Efficiency{0, {}, "nothing_measured", {}};
    Bench bench({json(200, to_json(telemetry)), json(200, to_json(of_seller)), json(200, to_json(nothing)),
                 json(200, to_json(telemetry))});
    CHECK(bench({"lease", "stats", "lease_1", "--history", "1h"})
              .out.find("hint                   peak memory 9 GiB of 80 GiB: a share would have done.\n") !=
          std::string::npos);
    CHECK(bench.sent(0) == "GET /v1/leases/lease_1/telemetry?history_ms=3600000&points=120");
    const std::string seen = bench({"lease", "stats", "lease_1"}).out;
    CHECK(seen.find("used of") == std::string::npos);
    CHECK(seen.find("\nmemory ") == std::string::npos);
    const Outcome unmeasured = bench({"lease", "stats", "lease_1", "--as-operator"});
    CHECK(bench.sent(2) == "GET /v1/admin/leases/lease_1/telemetry?points=120");
    CHECK(unmeasured.err == "nothing of this lease was measured, or is kept any more\n");
    CHECK(unmeasured.out ==
          "lease      lease_1\n"
          "job        job_1\n"
          "of a card  1.000\n"
          "running    4m\n"
          "shown      2026-01-02T03:04:00.000Z to 2026-01-02T03:08:00.000Z by 1m\n");
    const Outcome outcome = bench({"lease", "stats", "lease_1", "-o", "json"});
    CHECK(from_json<LeaseTelemetry>(outcome.out).cards.at(0).points.size() == 3);
}

TEST_CASE("a job is shown with what it used of what it paid for") {
    Job job;
    job.id = "job_1";
    job.state = "succeeded";
    job.restarts = 2;
    job.restart = RestartSpec{{}, 5, {}};
    JobEfficiency efficiency{"job_1", {60, 125, "well_used", {}}};
    Bench bench({json(200, to_json(job)), json(200, to_json(efficiency)), json(200, to_json(job)),
                 json(200, to_json(efficiency))});
    const Outcome fields = bench({"job", "show", "job_1"});
    CHECK(bench.sent(0) == "GET /v1/jobs/job_1");
    CHECK(bench.sent(1) == "GET /v1/jobs/job_1/efficiency");
    CHECK(fields.out.find("2 of 5\n") != std::string::npos);
    CHECK(fields.out.ends_with(
        "used of what was paid  12.5 %\nhint                   none: the card fits\n"));
    const Outcome whole = bench({"job", "show", "job_1", "-o", "json"});
    CHECK(from_json<Job>(whole.out).id == "job_1");
    const auto at = whole.out.find("\"efficiency\": {");
    REQUIRE(at != std::string::npos);
    CHECK(whole.out.find("\"used_thousandths\": 125", at) != std::string::npos);
}

}  // namespace fallow::sdk
