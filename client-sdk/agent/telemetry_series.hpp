// Turns readings into minutes: for each card of each lease the mean and the highest of what was read within
// a minute of the server's clock. What is over waits to be sent, in memory and bounded: an agent that is
// started anew begins anew, and after a day without the server the oldest minutes are gone. A value: no
// clock, no thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace fallow::agent {

/// One reading; nothing where it does not tell.
struct UseSample {
    std::optional<std::int64_t> utilization_thousandths = {};
    std::optional<std::int64_t> memory_used_bytes = {};
    std::optional<std::int64_t> power_milliwatts = {};
    std::optional<std::int64_t> temperature_celsius = {};
    friend bool operator==(const UseSample&, const UseSample&) = default;
};

/// Whose reading it is, and how it was made.
struct UseOf {
    std::string lease_id;
    std::string card_id;
    std::string source;                             ///< "nvml", "cgroup"
    bool shared = false;                            ///< another lease has a part of the card
    std::optional<std::int64_t> memory_bytes = {};  ///< that there are
    std::optional<std::int64_t> cpu_millis = {};    ///< that the guest may use
    friend bool operator==(const UseOf&, const UseOf&) = default;
};

struct UseLevel {
    std::int64_t mean = 0;
    std::int64_t max = 0;
    friend bool operator==(const UseLevel&, const UseLevel&) = default;
};

struct UseMinute {
    std::int64_t at_unix_ms = 0;  ///< its beginning, on the server's clock
    std::int64_t samples = 0;
    std::optional<UseLevel> utilization_thousandths = {};
    std::optional<UseLevel> memory_used_bytes = {};
    std::optional<UseLevel> power_milliwatts = {};
    std::optional<UseLevel> temperature_celsius = {};
    friend bool operator==(const UseMinute&, const UseMinute&) = default;
};

struct CardMinutes {
    UseOf of;
    std::vector<UseMinute> minutes;
    friend bool operator==(const CardMinutes&, const CardMinutes&) = default;
};

class TelemetrySeries {
  public:
    static constexpr std::int64_t minute_ms = 60'000;
    static constexpr std::int64_t kept_ms = 23LL * 3600 * 1000;  ///< the server takes a day
    static constexpr std::size_t waiting_max = 20'000;           ///< minutes of cards
    static constexpr std::size_t batch_max = 256;

    void add(const UseOf& of, std::int64_t unix_ms, const UseSample& sample);
    /// Ends the minutes that are over, and at once those of leases that are not among `running`.
    void close(std::int64_t unix_ms, const std::set<std::string>& running);

    /// The minutes that one lease has waiting, the oldest first and batch_max at most: taken out. Nothing
    /// when none waits. What has become too old is dropped.
    [[nodiscard]] std::vector<CardMinutes> take(std::int64_t unix_ms);
    /// What take() gave and could not be sent.
    void put_back(const std::vector<CardMinutes>& batch);
    /// What take() gave and the server does not want.
    void give_up(const std::vector<CardMinutes>& batch);

    [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
    [[nodiscard]] std::int64_t dropped() const { return dropped_; }

  private:
    struct Sum {
        std::int64_t count = 0;
        std::int64_t sum = 0;
        std::int64_t max = 0;
        void add(const std::optional<std::int64_t>& value);
        [[nodiscard]] std::optional<UseLevel> level() const;
    };
    struct Open {
        UseOf of;
        std::int64_t at_unix_ms = 0;
        std::int64_t samples = 0;
        Sum utilization, memory, power, temperature;
    };
    using Waiting = std::pair<UseOf, UseMinute>;

    void end(Open& open);
    void bound();

    std::map<std::pair<std::string, std::string>, Open> open_;  ///< by lease and card
    std::deque<Waiting> waiting_;
    std::int64_t dropped_ = 0;
};

}  // namespace fallow::agent
