// Who may measure its network against this server, and how much of it: a bounded number of hosts at once,
// each for a minute, one transfer at a time; what a host moves in hours, and what all move together, is
// bounded as well. In memory and of this server alone: of n servers, each gives as much.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::api {

inline constexpr std::int64_t network_test_bytes_max = 16LL << 20;  ///< of one transfer
/// A smaller transfer counts as so much.
inline constexpr std::int64_t network_test_bytes_counted_min = 1LL << 20;
inline constexpr std::int64_t network_test_bytes_per_host_max = 192LL << 20;  ///< after hours of none
inline constexpr std::int64_t network_test_bytes_per_host_and_hour = 48LL << 20;
inline constexpr Millis network_test_transfer = seconds(15);  ///< the longest
inline constexpr Millis network_test_visit = seconds(60);     ///< of a host, from its first transfer on
inline constexpr Millis network_test_idle = seconds(5);       ///< that a host keeps its place between two

class NetworkTests {
  public:
    /// `bytes_per_s`: of all hosts together, on average.
    NetworkTests(std::int64_t hosts_max, std::int64_t bytes_per_s, std::function<Time()> now);
    NetworkTests(const NetworkTests&) = delete;
    NetworkTests& operator=(const NetworkTests&) = delete;

    /// The transfer is under way until it is destroyed, which must be before its NetworkTests is.
    using Place = std::shared_ptr<const void>;
    /// rate_limited, with how long to wait, when there is no room.
    [[nodiscard]] Result<Place> begin(HostId host, std::int64_t bytes);

  private:
    struct Visit {
        Time until;    ///< its transfers may begin
        Time kept_to;  ///< its place, while nothing moves
        bool moves = false;
    };

    [[nodiscard]] Status check(HostId host, Millis cost, Time now) const;
    void forget_idle(Time now);
    void end(HostId host);

    const std::int64_t hosts_max_;
    const std::int64_t bytes_per_s_;
    const std::function<Time()> now_;

    mutable std::mutex mutex_;
    std::map<HostId, Visit> visits_;  ///< hosts_max_ at most
    /// When a host that moved something has all of its allowance again: those whose time has come are
    /// forgotten, the others moved something in the last hours.
    std::unordered_map<HostId, Time> allowance_whole_at_;
    std::size_t sweep_at_ = 1024;
    Time paid_until_;  ///< what all hosts have moved, at the average rate
};

}  // namespace fallow::api
