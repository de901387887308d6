#include "agent/guard.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace fallow::agent {
namespace {

constexpr std::int64_t retry_ms = 200;
constexpr std::int64_t longest_wait_ms = 1000;

}  // namespace

Guard::Guard(GuardOptions options, std::int64_t acknowledged_boot_ms)
    : options_(std::move(options)),
      acknowledged_boot_ms_(acknowledged_boot_ms != 0 ? acknowledged_boot_ms : options_.boot_clock_ms()),
      thread_([this](std::stop_token stop) { run(stop); }) {}

Guard::~Guard() {
    thread_.request_stop();
    thread_.join();
}

void Guard::watch(const std::string& container_id, std::function<void(std::int64_t)> on_frozen) {
    const std::lock_guard lock(mutex_);
    watched_[container_id] = std::move(on_frozen);
    wake_.notify_all();
}

void Guard::drop(const std::string& container_id) {
    std::unique_lock lock(mutex_);
    watched_.erase(container_id);
    wake_.wait(lock, [&] { return container_id.empty() || freezing_ != container_id; });
}

void Guard::acknowledged(std::int64_t sent_boot_ms) {
    const std::lock_guard lock(mutex_);
    acknowledged_boot_ms_ = std::max(acknowledged_boot_ms_, sent_boot_ms);
}

void Guard::freeze_all(std::unique_lock<std::mutex>& lock) {
    const auto all = watched_;
    for (const auto& [container_id, on_frozen] : all) {
        if (!watched_.contains(container_id)) continue;
        freezing_ = container_id;
        lock.unlock();
        bool done = true;
        try {
            const std::int64_t at = options_.boot_clock_ms();
            if (options_.freeze(container_id)) {
                spdlog::warn("container {} is frozen: the server is out of reach", container_id);
                on_frozen(at);
            }
        } catch (const std::exception& error) {
            spdlog::error("container {} could not be frozen: {}", container_id, error.what());
            done = false;
        }
        lock.lock();
        freezing_.clear();
        wake_.notify_all();
        if (done) watched_.erase(container_id);
    }
}

void Guard::run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        const std::int64_t left = acknowledged_boot_ms_ + options_.fence_ms - options_.boot_clock_ms();
        if (left <= 0) freeze_all(lock);
        // Woken at least once a second: the boot clock also counts sleep, which no timer here would notice.
        const std::int64_t wait_ms = left <= 0 ? retry_ms : std::min(left, longest_wait_ms);
        wake_.wait_for(lock, stop, std::chrono::milliseconds(wait_ms), [] { return false; });
    }
}

}  // namespace fallow::agent
