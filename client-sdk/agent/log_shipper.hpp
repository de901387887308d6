// Takes one container's output from the engine to the server, in order, once. A reader follows the engine's
// stream into a bounded buffer, a sender empties it in numbered entries. What the server has is remembered
// on disk in terms of octets of output, so that an agent started anew reads the engine's log from its
// beginning, skips those, and goes on.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/guest_traffic.hpp"
#include "agent/log_frames.hpp"
#include "agent/server_link.hpp"
#include "agent/state.hpp"

namespace fallow::agent {

struct LogShipperParts {
    std::string lease_id;
    /// Reads the container's output from the beginning: `follow` until it ends, else what is there.
    std::function<void(bool follow, const LogDemuxer::OnData&, std::stop_token)> read;
    std::function<bool()> container_ended;
    bool has_just_started = false;  ///< so that is not asked before the first pass
    /// Sends entries; the sequence the server expects next. Throws ServerError, sdk::TransportError.
    std::function<std::int64_t(std::int64_t first_sequence, const std::vector<LogEntry>&)> send;
    std::function<std::int64_t()> unix_ms;  ///< for the entries' `at`
    std::function<void(const LogPosition&)> save;
    /// The line to the renter that is due, if any. Asked now and then, and once the container has ended.
    std::function<std::optional<TrafficNotice>()> notice = {};
    std::int64_t notice_every_ms = 5000;
    std::function<void()>
        on_drained;  ///< the container has ended and all of it is sent, or refused for good
};

class LogShipper {
  public:
    LogShipper(LogShipperParts parts, LogPosition position);
    ~LogShipper();
    LogShipper(const LogShipper&) = delete;
    LogShipper& operator=(const LogShipper&) = delete;

  private:
    struct Piece {
        LogStream stream;
        std::int64_t unix_ms;
        std::string data;
    };

    void run_reader(std::stop_token stop);
    void read_from_start(bool follow, std::stop_token stop);
    bool take(LogStream stream, std::string_view data, std::stop_token stop);
    void run_sender(std::stop_token stop);
    bool wait_for_batch(std::unique_lock<std::mutex>& lock, std::stop_token stop);
    [[nodiscard]] std::vector<LogEntry> cut_batch();
    bool send_batch(const std::vector<LogEntry>& batch, std::stop_token stop);
    bool send_entries(const std::vector<LogEntry>& entries, LogPosition next, std::stop_token stop);
    void tell_if_due(std::stop_token stop);
    void tell(std::stop_token stop);
    void pause(std::int64_t ms, std::stop_token stop);

    LogShipperParts parts_;
    LogPosition position_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::int64_t asked_boot_ms_ = 0;  ///< for a notice; of the sender
    std::deque<Piece> buffer_;
    std::size_t buffered_bytes_ = 0;
    std::int64_t
        read_bytes_;        ///< octets of output taken into the buffer so far, since the container's start
    bool ended_ = false;    ///< the reader has seen all there will be
    bool refused_ = false;  ///< the server wants no more of it
    std::jthread reader_;
    std::jthread sender_;
};

}  // namespace fallow::agent
