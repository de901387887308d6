// What is known of a host and its cards beside who they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::sdk {

struct DiskSpeed {
    std::int64_t write_bytes_per_s = 0;
    std::int64_t read_bytes_per_s = 0;
    std::string measured_at;
};

/// Between a host and a server of the market, as the host's agent measured it.
struct NetworkSpeed {
    std::int64_t up_bytes_per_s = 0;  ///< from the host
    std::int64_t down_bytes_per_s = 0;
    std::string measured_at;
};

/// When a host is out of service, announced by its owner.
struct Maintenance {
    std::string from;
    std::string until;
    std::string reason;
};

/// What one renter's jobs have cost a host without being paid for.
struct RenterFailures {
    std::string organization_id;
    std::int64_t failed_starts = 0;  ///< all of them
    std::int64_t failed_pulls = 0;   ///< of these, whose image could not be had
    std::string last_at;
    std::string last_reason;
};
struct FailedStarts {
    std::string since;
    std::vector<RenterFailures> renters;  ///< those with most first, 100 at most
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
