// The text of the agent's /metrics, in Prometheus' exposition format 0.0.4: NVIDIA's cards under the names
// and labels of DCGM's exporter, guests on the host's own processor under names of our own, because DCGM
// has none for them and a processor's figures must not pass for a GPU's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/container_use.hpp"
#include "agent/gpu_reading.hpp"

namespace fallow::agent {

struct LeaseOnGpu {
    std::string uuid;
    std::string lease_id;
    std::string job_id;
};

/// A guest that runs on a CPU device.
struct GuestOnProcessor {
    std::int64_t index = 0;  ///< of the card
    std::string uuid;
    std::string product;
    std::string lease_id;
    std::string job_id;
    ContainerUse use;
    std::int64_t cpu_millis = 0;    ///< that it may use
    std::int64_t memory_bytes = 0;  ///< that it may use
};

struct MetricsMoment {
    std::string hostname;
    std::vector<GpuReading> gpus;
    std::vector<LeaseOnGpu> leases;
    std::vector<GuestOnProcessor> guests;
    std::int64_t minutes_waiting = 0;
    std::int64_t minutes_dropped = 0;
};

[[nodiscard]] std::string metrics_page(const MetricsMoment& moment);

}  // namespace fallow::agent
