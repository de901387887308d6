// What a job can ask for, as it is typed; and secrets, which are typed nowhere.
#include <catch2/catch.hpp>

#include "fallow/json.hpp"
#include "fallow/types.hpp"
#include "unit/sdk/cli_bench.hpp"

using namespace fallow::sdk::testing;

namespace {

const Words job = {"job", "run",     "--image", "busybox", "--lease", "lease_1", "--max-duration",
                   "1h",  "--detach"};

/// The body that is sent, after the job's duration.
std::string sent_with(const Words& more) {
    Bench bench({json(422, "{}")});
    Words arguments = job;
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = bench(arguments);
    CAPTURE(outcome.err);
    REQUIRE(bench.server.requests().size() == 1);
    const std::string sent = bench.sent(0);
    const std::string duration = R"("max_duration_ms":3600000,)";
    REQUIRE(sent.starts_with(R"(POST /v1/leases/lease_1/job {"image":"busybox",)"));
    REQUIRE(sent.find(duration) != std::string::npos);
    return sent.substr(sent.find(duration) + duration.size());
}

}  // namespace

TEST_CASE("what a job asks for itself is sent in the contract's units") {
    CHECK(sent_with({"--secret", "token", "--secret", "db.key", "--shm", "2GiB"}) ==
          R"("secrets":["token","db.key"],"shm_bytes":2147483648})");
    CHECK(sent_with({"--registry-secret", "pull"}) == R"("registry_secret":"pull"})");
    CHECK(sent_with({"--output", "r", "--output-interval", "1m"}) == R"("output_interval_ms":60000})");
    CHECK(sent_with({"--pull-timeout", "5m", "--start-timeout", "30s"}) ==
          R"("pull_timeout_ms":300000,"start_timeout_ms":30000})");
    CHECK(sent_with({"--retry", "3", "--retry-on", "75,137"}) ==
          R"("attempts_max":4,"retry_exit_codes":[75,137]})");
    CHECK(sent_with({"--restart", "3"}) == R"("restart":{"restarts_max":3}})");
    CHECK(sent_with({"--restart", "3", "--restart-on", "75,137", "--restart-delay", "5s"}) ==
          R"("restart":{"exit_codes":[75,137],"restarts_max":3,"delay_ms":5000}})");
    CHECK(sent_with({"--health", "test -e /tmp/ok", "--health-interval", "10s", "--health-retries", "2"}) ==
          R"("health":{"command":["sh","-c","test -e /tmp/ok"],"interval_ms":10000,"retries":2}})");
    CHECK(sent_with({"--idle-below", "5", "--idle-for", "30m"}) ==
          R"("idle":{"below_percent":5,"for_ms":1800000}})");
    CHECK(sent_with({"--network", "gang"}) == R"("network":"gang"})");
    const std::string all = sent_with({"--retry", "1"});
    CHECK(all.starts_with(R"("attempts_max":2,"retry_exit_codes":[1,2,3,)"));
    CHECK(all.ends_with(",254,255]}"));
}

TEST_CASE("what a job asks for in words that do not fit together is a mistake of the command line") {
    const auto more = GENERATE(values<Words>({{"--retry-on", "75"},
                                              {"--retry", "2", "--retry-on", "0"},
                                              {"--retry", "2", "--retry-on", "many"},
                                              {"--retry", "2", "--attempts", "3"},
                                              {"--restart-on", "75"},
                                              {"--restart-delay", "5s"},
                                              {"--restart", "2", "--restart-on", "256"},
                                              {"--health-retries", "2"},
                                              {"--idle-below", "5"},
                                              {"--idle-for", "5m"},
                                              {"--network", "lan"}}));
    CAPTURE(more);
    Bench bench;
    Words arguments = job;
    arguments.insert(arguments.end(), more.begin(), more.end());
    CHECK(bench(arguments).code == 2);
    CHECK(bench.server.requests().empty());
}

TEST_CASE("a job shows what its host moves for it") {
    fallow::sdk::Job shown;
    shown.id = "job_1";
    const std::string efficiency = R"({"job_id":"job_1","efficiency":{"minutes":0,"used_thousandths":null,)"
                                   R"("verdict":"too_little_measured","hint":null}})";
    using fallow::sdk::JobProgress;
    struct Row {
        std::optional<JobProgress> progress;
        std::string text;
    };
    const Row row = GENERATE(values<Row>(
        {{std::nullopt, "-"},
         {JobProgress{"pulling_image", 3 << 20, std::nullopt, "at"}, "pulling image: 3 MiB"},
         {JobProgress{"fetching_inputs", 1 << 20, 3 << 20, "at"}, "fetching inputs: 1 MiB of 3 MiB (33 %)"},
         {JobProgress{"uploading_outputs", 5, 10, "at"}, "uploading outputs: 5 B of 10 B (50 %)"},
         {JobProgress{"fetching_inputs", 0, 0, "at"}, "fetching inputs: 0 B of 0 B (100 %)"}}));
    shown.progress = row.progress;
    Bench bench({json(200, to_json(shown)), json(200, efficiency)});
    const Outcome outcome = bench({"job", "show", "job_1"});
    CAPTURE(outcome.out, outcome.err);
    const std::size_t line = outcome.out.find("\nprogress ");
    REQUIRE(line != std::string::npos);
    const std::size_t value = outcome.out.find_first_not_of(' ', line + std::string("\nprogress ").size());
    CHECK(outcome.out.substr(value, row.text.size() + 1) == row.text + "\n");
}

TEST_CASE("a secret comes from a file and is not printed") {
    const std::string secret =
        R"({"id":"secret_1","organization_id":"org_1","name":"token","version":2,)"
        R"("created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-02T00:00:00.000Z"})";
    Bench bench({json(200, secret), json(200, page({secret})), reply(204, "")});
    const std::string file = bench.folder.write("value", "sesame\n").string();
    const Outcome set = bench({"secret", "set", "token", "--from", file});
    CHECK(set.code == 0);
    CHECK(bench.sent(0) == R"(PUT /v1/secrets/token {"value":"c2VzYW1lCg=="})");
    CHECK((set.out + set.err).find("sesame") == std::string::npos);
    CHECK(bench({"secret", "list"}).out.find("token") != std::string::npos);
    CHECK(bench({"secret", "delete", "token"}).code == 0);
    CHECK(bench.sent(2) == "DELETE /v1/secrets/token");
    Bench nothing;
    CHECK(nothing({"secret", "set", "token", "a value as an argument"}).code == 2);
    CHECK(nothing.server.requests().empty());
}
