// How fast the file system that jobs work on writes and reads. One file of a bounded size is written past
// the page cache, or made durable where the file system refuses that, and read back the same way. It is
// measured once a day at most and only while nobody rents the host, because it would be in their way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stop_token>

namespace fallow::agent {

struct DiskSpeed {
    std::int64_t write_bytes_per_s = 0;
    std::int64_t read_bytes_per_s = 0;
    std::int64_t measured_unix_ms = 0;
    friend bool operator==(const DiskSpeed&, const DiskSpeed&) = default;
};

/// Nothing when `stop` came first. Throws std::runtime_error when the folder has not four times as much
/// free, or the file system fails. Not longer than ten seconds each way: what was moved by then counts.
[[nodiscard]] std::optional<DiskSpeed> measure_disk(const std::filesystem::path& folder, std::int64_t bytes,
                                                    std::stop_token stop);

/// The last measurement, kept in a file of the folder.
class DiskKeeper {
  public:
    DiskKeeper(std::filesystem::path folder, std::int64_t bytes);

    [[nodiscard]] std::optional<DiskSpeed> kept() const;
    /// Measures when that is due; true when there is a new one. `is_leased` is asked once a lease that
    /// begins can end it: it either is seen or sees.
    template <class IsLeased>
    bool measure_if_due(IsLeased&& is_leased, std::stop_token stop) {
        if (!is_due()) return false;
        const std::stop_token measuring = begin();
        if (is_leased()) return false;
        return measure(measuring, std::move(stop));
    }
    /// A lease begins, or the owner has something to tell the server. Any thread; it does not wait, because
    /// a guest only shares the disk with the rest.
    void yield();

  private:
    [[nodiscard]] bool is_due() const;
    [[nodiscard]] std::stop_token begin();
    bool measure(std::stop_token measuring, std::stop_token stop);

    std::filesystem::path folder_;
    std::int64_t bytes_;
    std::mutex mutex_;
    std::stop_source stop_measuring_;
};

}  // namespace fallow::agent
