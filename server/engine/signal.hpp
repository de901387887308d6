// Wakes a thread that waits for something to have changed. It counts, so that a change between looking and
// waiting is not missed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace fallow::engine {

class Signal {
  public:
    [[nodiscard]] std::uint64_t count() const {
        const std::lock_guard lock(mutex_);
        return count_;
    }
    void raise() {
        {
            const std::lock_guard lock(mutex_);
            ++count_;
        }
        raised_.notify_all();
    }
    /// Waits until it was raised more than `seen` times; false when that took longer than `at_most`.
    bool wait(std::uint64_t seen, std::chrono::milliseconds at_most) {
        std::unique_lock lock(mutex_);
        return raised_.wait_for(lock, at_most, [&] { return count_ != seen; });
    }
    void wait(std::uint64_t seen) {
        std::unique_lock lock(mutex_);
        raised_.wait(lock, [&] { return count_ != seen; });
    }

  private:
    mutable std::mutex mutex_;
    std::condition_variable raised_;
    std::uint64_t count_ = 0;
};

}  // namespace fallow::engine
