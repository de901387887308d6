// How the heartbeat and the long-poll of a host without leases share one connection: each long-poll ends
// before the next heartbeat is due. So an idle host is one connection to the server and one handshake when
// it comes back, and ten thousand of them are ten thousand.
//
// A heartbeat waits little for a late reply: a server that is slow because many come back would get another
// handshake from each. Then it goes over a connection of its own, as it always does while the host has a
// lease.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace fallow::agent {

/// Well within the silence after which a host counts as lost.
inline constexpr std::int64_t late_reply_ms_max = 2500;

class LinkTurns {
  public:
    // --- the heartbeat's thread

    using Turn = std::unique_lock<std::timed_mutex>;

    /// Of the shared connection, if it is free soon.
    [[nodiscard]] Turn take_soon() { return Turn(link_, std::chrono::milliseconds(late_reply_ms_max)); }
    /// After each heartbeat: when the next one is due, and whether this one was acknowledged.
    void beaten(std::int64_t next_boot_ms, bool is_acknowledged);

    // --- the long-poll's thread

    [[nodiscard]] Turn take() { return Turn(link_); }
    /// How long a long-poll may last so that it ends in time, `most_ms` at most. Waits while a heartbeat is
    /// about to be sent.
    [[nodiscard]] std::int64_t poll_ms(std::int64_t most_ms, std::stop_token stop);
    /// How many heartbeats were acknowledged.
    [[nodiscard]] std::uint64_t acknowledged();
    /// After a failure: until more than `seen` heartbeats were acknowledged. While the server is out of
    /// reach one of the two tries, and it never ceases to.
    void wait_for_contact(std::uint64_t seen, std::stop_token stop);

  private:
    std::timed_mutex link_;  ///< of the shared connection
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::int64_t next_beat_boot_ms_ = 0;
    std::uint64_t acknowledged_ = 0;
};

}  // namespace fallow::agent
