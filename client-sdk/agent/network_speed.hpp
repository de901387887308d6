// How fast the way between this host and the market's server is, both ways: what an agent can measure
// without asking a third party. Transfers grow until one lasts long enough to tell, and the server bounds
// their size, so that what is found is "at least so much". It is measured once a day at most and only while
// nobody rents the host, because it would be in their way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>

namespace fallow::agent {

struct NetworkSpeed {
    std::int64_t up_bytes_per_s = 0;  ///< from this host
    std::int64_t down_bytes_per_s = 0;
    std::int64_t measured_unix_ms = 0;
    friend bool operator==(const NetworkSpeed&, const NetworkSpeed&) = default;
};

/// Of one transfer: what was moved in which time.
struct Moved {
    std::int64_t bytes = 0;
    std::int64_t us = 0;
};

/// The way that is measured. Both throw ServerError and sdk::TransportError.
class NetworkPath {
  public:
    virtual ~NetworkPath() = default;
    [[nodiscard]] virtual Moved download(std::int64_t bytes, std::stop_token stop) = 0;
    [[nodiscard]] virtual Moved upload(std::int64_t bytes, std::stop_token stop) = 0;
};

/// Where times and chance come from.
struct NetworkClock {
    std::function<std::int64_t()> boot_ms;
    std::function<std::int64_t()> unix_ms;
    std::function<std::int64_t(std::int64_t most)> random;  ///< from 0 to `most`
};
[[nodiscard]] NetworkClock real_network_clock();

/// Nothing when `stop` came first; throws what the path throws. 76 MiB at most, and not longer than 20 s
/// and one transfer each way.
[[nodiscard]] std::optional<NetworkSpeed> measure_network(NetworkPath& path, const NetworkClock& clock,
                                                          std::stop_token stop);

/// The last measurement, kept in a file of the state folder.
[[nodiscard]] std::optional<NetworkSpeed> kept_network_speed(const std::filesystem::path& folder);

/// When it is measured: at a random moment of the first `spread_ms`, so that hosts that start together do
/// not measure together, then a day after each measurement; later when the server says so.
class NetworkKeeper {
  public:
    NetworkKeeper(std::filesystem::path folder, std::int64_t spread_ms, NetworkClock clock);

    [[nodiscard]] std::int64_t due_in_ms() const;
    /// Measures when that is due; true when there is a new measurement. `is_leased` is asked once a lease
    /// that begins can end it: it either is seen or sees.
    template <class IsLeased>
    bool measure_if_due(NetworkPath& path, IsLeased&& is_leased, std::stop_token stop) {
        if (due_in_ms() > 0) return false;
        const std::stop_token measuring = begin();
        if (is_leased()) {
            put_off_for_lease();
            return false;
        }
        return measure(path, measuring, std::move(stop));
    }
    /// A lease begins, or the owner has something to tell the server. Any thread; it does not wait.
    void yield();

  private:
    [[nodiscard]] std::stop_token begin();
    bool measure(NetworkPath& path, std::stop_token measuring, std::stop_token stop);
    void put_off(std::int64_t ms);
    void put_off_for_lease();

    std::filesystem::path folder_;
    NetworkClock clock_;
    std::int64_t due_boot_ms_ = 0;  ///< of the measuring thread
    int refusals_ = 0;              ///< in a row; of the measuring thread
    std::mutex mutex_;
    std::stop_source stop_measuring_;
};

}  // namespace fallow::agent
