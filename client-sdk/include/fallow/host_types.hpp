// What is known of a host and its cards beside who they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fallow::sdk {

struct DiskSpeed {
    std::int64_t write_bytes_per_s = 0;
    std::int64_t read_bytes_per_s = 0;
    std::string measured_at;
};

/// What the leases of a host that have ended say of it, and what is assumed of every host beside that.
struct HostScore {
    std::string host_id;
    std::int64_t reliability_ppm = 0;
    std::int64_t delivered_ms = 0;
    std::int64_t lost_ms = 0;
    std::int64_t reclaimed_ms = 0;
    std::int64_t start_failed_ms = 0;
    std::int64_t clipped_ms = 0;
    std::int64_t failed_ms = 0;
    std::int64_t prior_delivered_ms = 0;
    std::int64_t prior_failed_ms = 0;
};

struct CardVerification {
    std::string state;  ///< unverified, verified, refused
    std::optional<std::string> reason;
    std::optional<std::string> at;
};

}  // namespace fallow::sdk
