#include "ops/metrics.hpp"
#include "support/paths.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

using namespace fallow;
using namespace fallow::ops;

namespace {

bool has_line(const Metrics& metrics, const std::string& line) {
    return ("\n" + metrics.text()).find("\n" + line + "\n") != std::string::npos;
}

std::size_t lines_with(const Metrics& metrics, const std::string& start) {
    const std::string text = "\n" + metrics.text();
    std::size_t count = 0;
    for (std::size_t at = text.find("\n" + start); at != std::string::npos;
         at = text.find("\n" + start, at + 1))
        ++count;
    return count;
}

}  // namespace

TEST_CASE("a new server shows its version and counters at zero", "[metrics]") {
    const Metrics metrics("0.1.0");
    CHECK(has_line(metrics, "fallow_build_info{version=\"0.1.0\"} 1"));
    CHECK(has_line(metrics, "fallow_quarantined_total 0"));
    CHECK(has_line(metrics, "fallow_engine_batches_total 0"));
    CHECK(has_line(metrics, "fallow_commands_total{outcome=\"ok\"} 0"));
    CHECK(has_line(metrics, "# TYPE fallow_http_request_seconds histogram"));
}

TEST_CASE("requests count by method and status, and labels stay few", "[metrics]") {
    Metrics metrics("x");
    CHECK(has_line(metrics, "fallow_http_requests_total{method=\"PUT\",status=\"500\"} 0"));
    const std::size_t before = lines_with(metrics, "fallow_http_requests_total{");
    metrics.request("GET", 200, 1'500);
    metrics.request("GET", 200, 2'000'000);
    metrics.request("POST", 503, 10);
    CHECK(has_line(metrics, "fallow_http_requests_total{method=\"GET\",status=\"200\"} 2"));
    CHECK(has_line(metrics, "fallow_http_requests_total{method=\"POST\",status=\"503\"} 1"));
    CHECK(has_line(metrics, "fallow_http_request_seconds_bucket{le=\"0.001\"} 1"));
    CHECK(has_line(metrics, "fallow_http_request_seconds_bucket{le=\"0.0025\"} 2"));
    CHECK(has_line(metrics, "fallow_http_request_seconds_count 3"));
    for (int i = 0; i < 100; ++i)
        metrics.request("M" + std::to_string(i), 600 + i, 1);
    CHECK(has_line(metrics, "fallow_http_requests_total{method=\"OTHER\",status=\"other\"} 100"));
    CHECK(lines_with(metrics, "fallow_http_requests_total{") == before + 3);
}

TEST_CASE("the engine's numbers", "[metrics]") {
    Metrics metrics("x");
    metrics.engine_batch(3, 1'500);
    metrics.engine_batch(200, 700'000);
    metrics.command(std::nullopt);
    metrics.command(ErrorCode::no_match);
    metrics.command(ErrorCode::no_match);
    metrics.quarantined();
    metrics.set_engine_queue_depth(7);
    metrics.set_leases_active(5);
    metrics.set_leases_active(4);
    metrics.set_orders_standing(9);
    metrics.set_leader(true);
    CHECK(has_line(metrics, "fallow_engine_batches_total 2"));
    CHECK(has_line(metrics, "fallow_engine_batch_commands_bucket{le=\"4\"} 1"));
    CHECK(has_line(metrics, "fallow_engine_batch_commands_sum 203"));
    CHECK(has_line(metrics, "fallow_engine_commit_seconds_bucket{le=\"0.002\"} 1"));
    CHECK(has_line(metrics, "fallow_commands_total{outcome=\"ok\"} 1"));
    CHECK(has_line(metrics, "fallow_commands_total{outcome=\"no_match\"} 2"));
    CHECK(has_line(metrics, "fallow_quarantined_total 1"));
    CHECK(has_line(metrics, "fallow_engine_queue_depth 7"));
    CHECK(has_line(metrics, "fallow_leases_active 4"));
    CHECK(has_line(metrics, "fallow_orders_standing 9"));
    CHECK(has_line(metrics, "fallow_leader 1"));
    metrics.set_leader(false);
    CHECK(has_line(metrics, "fallow_leader 0"));
}

TEST_CASE("nothing is lost between threads", "[metrics]") {
    Metrics metrics("x");
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&metrics] {
            for (int i = 0; i < 1000; ++i)
                metrics.request("GET", 200, 1);
        });
    threads.clear();
    CHECK(has_line(metrics, "fallow_http_requests_total{method=\"GET\",status=\"200\"} 4000"));
    CHECK(has_line(metrics, "fallow_http_request_seconds_count 4000"));
}

TEST_CASE("the Prometheus rules speak only of metrics that exist", "[metrics]") {
    std::ifstream file(fallow::testing::source_dir() + "/docker/prometheus-rules.yaml");
    const std::string rules{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const std::string text = Metrics("x").text();
    std::size_t seen = 0;
    for (std::size_t at = rules.find("fallow_"); at != std::string::npos;
         at = rules.find("fallow_", at + 1)) {
        const std::string name =
            rules.substr(at, rules.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789", at) - at);
        INFO(name);
        CHECK((text.find("\n" + name + " ") != std::string::npos ||
               text.find("\n" + name + "{") != std::string::npos ||
               text.find("# TYPE " + name + " ") != std::string::npos));
        ++seen;
    }
    CHECK(seen > 5);
}

TEST_CASE("what passes through tunnels is told as it grows, and apps' failures are not the server's",
          "[metrics]") {
    Metrics metrics("0.1.0");
    metrics.set_tunnels(2, 100, 7);
    metrics.set_tunnels(1, 150, 7);
    CHECK(has_line(metrics, "fallow_tunnels_open 1"));
    CHECK(has_line(metrics, "fallow_tunnel_bytes_total{from=\"renter\"} 150"));
    CHECK(has_line(metrics, "fallow_tunnel_bytes_total{from=\"host\"} 7"));
    metrics.app_request(500);
    metrics.app_request(502);
    metrics.app_request(0);
    CHECK(has_line(metrics, "fallow_app_requests_total{status=\"5xx\"} 2"));
    CHECK(has_line(metrics, "fallow_app_requests_total{status=\"other\"} 1"));
    CHECK(has_line(metrics, "fallow_http_requests_total{method=\"GET\",status=\"500\"} 0"));
}
