// Measures what the leases of this host use of its cards, keeps it in minutes, sends those once they are
// over, and shows the present on /metrics. A GPU is what its driver says of it; a guest on a CPU device is
// what the kernel counted of its processes, and nothing is told of power or temperature then. A card that
// nobody can measure (AMD's, one of another node of a cluster) is left out.
//
// Nothing depends on it: no lease begins, ends or is billed by what is measured here.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/container_use.hpp"
#include "agent/gpu_watch.hpp"
#include "agent/inventory.hpp"
#include "agent/lease.hpp"
#include "agent/metrics_listener.hpp"
#include "agent/metrics_page.hpp"
#include "agent/telemetry_series.hpp"

namespace fallow::agent {

/// A lease whose container runs on this host, and is not frozen.
struct MeasuredLease {
    std::string lease_id;
    std::string job_id;
    std::string container_id;
    std::vector<LeaseCard> cards;
    std::int64_t cpu_millis = 0;    ///< that the guest may use; 0: not known now
    std::int64_t memory_bytes = 0;  ///< that the guest may use; 0: not known now
};

struct TelemetryParts {
    std::function<std::vector<MeasuredLease>()> leases;
    std::function<std::vector<CardFacts>()> cards;
    std::function<std::int64_t()> server_unix_ms;
    /// Of the first process of a container; 0: it has none here.
    std::function<std::int64_t(const std::string& container_id)> pid_of;
    /// To the server; throws what ServerLink throws.
    std::function<void(const std::string& lease_id, const std::vector<CardMinutes>&, std::stop_token)> send;
    GpuWatchOptions gpus;
    std::string metrics_address;  ///< empty: no /metrics
    std::int64_t processors = 1;  ///< of the host
};

class Telemetry {
  public:
    /// Throws std::runtime_error when the metrics' address cannot be had.
    explicit Telemetry(TelemetryParts parts);
    ~Telemetry();
    Telemetry(const Telemetry&) = delete;
    Telemetry& operator=(const Telemetry&) = delete;

  private:
    struct Guest {
        std::optional<ContainerGroups> groups;
        std::int64_t look_again_boot_ms = 0;  ///< for its groups, when they were not found
        std::optional<ContainerUse> last;
        std::int64_t last_boot_ms = 0;
        std::int64_t cpu_millis = 0;
        std::int64_t memory_bytes = 0;
    };

    void run(const std::stop_token& stop);
    void measure();
    void measure_gpus(const std::vector<MeasuredLease>& leases, std::int64_t now_unix_ms);
    void measure_guest(const MeasuredLease& lease, const LeaseCard& card, std::int64_t now_unix_ms);
    void find_groups(Guest& guest, const std::string& container_id);
    void send(const std::stop_token& stop);
    [[nodiscard]] std::string page();

    const TelemetryParts parts_;
    GpuWatch watch_;
    std::map<std::string, Guest> guests_;  ///< by lease; of the measuring thread

    std::mutex mutex_;  ///< of what follows
    std::condition_variable_any changed_;
    TelemetrySeries series_;
    std::size_t being_sent_ = 0;  ///< minutes that were taken out of it, and are not heard of yet
    std::vector<MeasuredLease> leases_;
    std::vector<GuestOnProcessor> guests_shown_;

    std::unique_ptr<MetricsListener> listener_;  // their threads use all of the above
    std::jthread measuring_;
    std::jthread sending_;
};

}  // namespace fallow::agent
