// The server's metrics, and their text for GET /metrics (Prometheus exposition format 0.0.4).
// Every label has a fixed, small set of values: a path, an id or a tenant never becomes one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace fallow::ops {

inline constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// May be used from any number of threads.
class Metrics {
  public:
    explicit Metrics(std::string_view version);
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// fallow_http_requests_total{method,status} and fallow_http_request_seconds. A method that is none of
    /// ours counts as "OTHER", a status outside 100 to 599 as "other".
    void request(std::string_view method, int status, std::int64_t duration_us);
    /// fallow_engine_batches_total, fallow_engine_batch_commands, fallow_engine_commit_seconds.
    void engine_batch(std::size_t commands, std::int64_t commit_us);
    /// fallow_commands_total{outcome}: "ok", or the refusal's code.
    void command(std::optional<ErrorCode> refusal);
    /// fallow_quarantined_total: commands that the database refused and the engine set aside. Should stay
    /// 0.
    void quarantined();

    void set_engine_queue_depth(std::size_t commands);
    void set_leases_active(std::size_t leases);
    void set_orders_standing(std::size_t orders);
    /// fallow_tunnels_open, and fallow_tunnel_bytes_total{from}: what has passed until now.
    void set_tunnels(std::size_t open, std::uint64_t from_renters, std::uint64_t from_hosts);
    /// fallow_app_requests_total{status}: requests for programs in jobs, by "2xx" and so on. Their failures
    /// are no failures of the server, so that fallow_http_requests_total does not have them.
    void app_request(int status);
    /// fallow_leader: 1 while this server leads its market.
    void set_leader(bool leads);

    [[nodiscard]] std::string text() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::ops
