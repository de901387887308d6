#include "ops/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <mutex>

namespace fallow::ops {
namespace {

using prometheus::Histogram;

const Histogram::BucketBoundaries request_seconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                     0.25,  0.5,    1,     2.5,  5,     10,   30};
const Histogram::BucketBoundaries commit_seconds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02,
                                                    0.05,   0.1,   0.2,   0.5,   1,    2};
const Histogram::BucketBoundaries batch_commands = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

double seconds_of(std::int64_t microseconds) {
    return static_cast<double>(microseconds) / 1e6;
}

constexpr auto methods =
    std::to_array<std::string_view>({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"});

std::string method_label(std::string_view method) {
    return std::find(methods.begin(), methods.end(), method) != methods.end() ? std::string(method)
                                                                              : "OTHER";
}

std::string status_label(int status) {
    return status >= 100 && status <= 599 ? std::to_string(status) : "other";
}

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help,
                     const Histogram::BucketBoundaries& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

}  // namespace

struct Metrics::Impl {
    prometheus::Registry registry;
    prometheus::Family<prometheus::Counter>& requests =
        counters(registry, "fallow_http_requests_total", "Requests answered, by method and status");
    Histogram& request_time = histogram(registry, "fallow_http_request_seconds",
                                        "Time from a request's head to its reply's end", request_seconds);
    prometheus::Counter& batches =
        counters(registry, "fallow_engine_batches_total", "Batches committed").Add({});
    Histogram& batch_size = histogram(registry, "fallow_engine_batch_commands",
                                      "Commands in a committed batch", batch_commands);
    Histogram& commit_time = histogram(registry, "fallow_engine_commit_seconds",
                                       "Time of a batch's database transaction", commit_seconds);
    prometheus::Family<prometheus::Counter>& commands =
        counters(registry, "fallow_commands_total", "Commands decided, by outcome");
    prometheus::Counter& quarantined = counters(registry, "fallow_quarantined_total",
                                                "Commands that the database refused and were set aside")
                                           .Add({});
    prometheus::Gauge& queue_depth =
        gauge(registry, "fallow_engine_queue_depth", "Commands waiting for the engine");
    prometheus::Gauge& leases = gauge(registry, "fallow_leases_active", "Leases that have not ended");
    prometheus::Gauge& orders = gauge(registry, "fallow_orders_standing", "Orders waiting for a match");
    prometheus::Gauge& tunnels = gauge(registry, "fallow_tunnels_open",
                                       "Tunnels into jobs that wait or are open, whose renters are here");
    prometheus::Family<prometheus::Counter>& tunnel_bytes = counters(
        registry, "fallow_tunnel_bytes_total", "Bytes passed through those tunnels, by who sent them");
    std::mutex tunnel_mutex;
    std::array<std::uint64_t, 2> tunnel_bytes_told = {};  ///< of renters, of hosts
    prometheus::Family<prometheus::Counter>& app_requests = counters(
        registry, "fallow_app_requests_total", "Requests for programs in jobs, by the status of the reply");
    prometheus::Gauge& leader = gauge(registry, "fallow_leader", "1 while this server leads its market");
};

Metrics::Metrics(std::string_view version) : impl_(std::make_unique<Impl>()) {
    prometheus::BuildGauge()
        .Name("fallow_build_info")
        .Help("Always 1; the label tells the version")
        .Register(impl_->registry)
        .Add({{"version", std::string(version)}})
        .Set(1);
    impl_->commands.Add({{"outcome", "ok"}});
    // A series that starts at 1 has no increase: without these the first failure would raise no alarm.
    for (const std::string_view method : methods)
        impl_->requests.Add({{"method", std::string(method)}, {"status", "500"}});
}
Metrics::~Metrics() = default;

void Metrics::request(std::string_view method, int status, std::int64_t duration_us) {
    impl_->requests.Add({{"method", method_label(method)}, {"status", status_label(status)}}).Increment();
    impl_->request_time.Observe(seconds_of(duration_us));
}

void Metrics::engine_batch(std::size_t commands, std::int64_t commit_us) {
    impl_->batches.Increment();
    impl_->batch_size.Observe(static_cast<double>(commands));
    impl_->commit_time.Observe(seconds_of(commit_us));
}

void Metrics::command(std::optional<ErrorCode> refusal) {
    impl_->commands.Add({{"outcome", refusal ? std::string(name_of(*refusal)) : "ok"}}).Increment();
}

void Metrics::quarantined() {
    impl_->quarantined.Increment();
}
void Metrics::set_engine_queue_depth(std::size_t commands) {
    impl_->queue_depth.Set(static_cast<double>(commands));
}
void Metrics::set_leases_active(std::size_t leases) {
    impl_->leases.Set(static_cast<double>(leases));
}
void Metrics::set_orders_standing(std::size_t orders) {
    impl_->orders.Set(static_cast<double>(orders));
}
void Metrics::set_leader(bool leads) {
    impl_->leader.Set(leads ? 1 : 0);
}

void Metrics::set_tunnels(std::size_t open, std::uint64_t from_renters, std::uint64_t from_hosts) {
    impl_->tunnels.Set(static_cast<double>(open));
    const std::lock_guard lock(impl_->tunnel_mutex);
    const auto tell = [this](const char* from, std::uint64_t now, std::uint64_t& told) {
        prometheus::Counter& counter = impl_->tunnel_bytes.Add({{"from", from}});
        if (now > told) counter.Increment(static_cast<double>(now - told));
        told = std::max(now, told);
    };
    tell("renter", from_renters, impl_->tunnel_bytes_told[0]);
    tell("host", from_hosts, impl_->tunnel_bytes_told[1]);
}

void Metrics::app_request(int status) {
    const bool is_known = status >= 100 && status <= 599;
    const std::string label = is_known ? std::to_string(status / 100) + "xx" : std::string("other");
    impl_->app_requests.Add({{"status", label}}).Increment();
}

std::string Metrics::text() const {
    return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace fallow::ops
