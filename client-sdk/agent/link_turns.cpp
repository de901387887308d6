#include "agent/link_turns.hpp"

#include <algorithm>
#include <chrono>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

/// For the reply to a long-poll to come before the heartbeat goes out.
constexpr std::int64_t margin_ms = 250;
/// A heartbeat is sent and answered or given up within this; then the long-poll goes on in any case.
constexpr std::int64_t turn_ms_max = 3000;

}  // namespace

void LinkTurns::beaten(std::int64_t next_boot_ms, bool is_acknowledged) {
    {
        const std::lock_guard lock(mutex_);
        next_beat_boot_ms_ = next_boot_ms;
        if (is_acknowledged) ++acknowledged_;
    }
    changed_.notify_all();
}

std::int64_t LinkTurns::poll_ms(std::int64_t most_ms, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    const auto left_ms = [&] { return next_beat_boot_ms_ - margin_ms - boot_clock_ms(); };
    changed_.wait_for(lock, stop, std::chrono::milliseconds(turn_ms_max), [&] { return left_ms() > 0; });
    return std::clamp<std::int64_t>(left_ms(), 0, most_ms);
}

std::uint64_t LinkTurns::acknowledged() {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
}

void LinkTurns::wait_for_contact(std::uint64_t seen, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return acknowledged_ != seen; });
}

}  // namespace fallow::agent
