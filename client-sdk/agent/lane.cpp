#include "agent/lane.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace fallow::agent {
namespace {

constexpr std::int64_t first_pause_ms = 500;
constexpr std::int64_t longest_pause_ms = 8000;

}  // namespace

Lane::Lane(std::string name, std::function<void()> on_idle)
    : name_(std::move(name)),
      on_idle_(std::move(on_idle)),
      thread_([this](std::stop_token stop) { run(stop); }) {}

Lane::~Lane() {
    thread_.request_stop();
    interrupt();
    thread_.join();
}

bool Lane::busy() const {
    const std::lock_guard lock(mutex_);
    return busy_;
}

std::string Lane::current() const {
    const std::lock_guard lock(mutex_);
    return busy_ ? what_ : std::string();
}

void Lane::post(std::string what, std::function<void(std::stop_token)> work) {
    const std::lock_guard lock(mutex_);
    begin(std::move(what), std::move(work));
}

bool Lane::post_if_idle(std::string what, std::function<void(std::stop_token)> work) {
    const std::lock_guard lock(mutex_);
    if (busy_) return false;
    begin(std::move(what), std::move(work));
    return true;
}

void Lane::begin(std::string what, std::function<void(std::stop_token)> work) {
    what_ = std::move(what);
    work_ = std::move(work);
    interrupt_ = std::stop_source();
    busy_ = true;
    wake_.notify_all();
}

void Lane::interrupt() {
    const std::lock_guard lock(mutex_);
    interrupt_.request_stop();
    wake_.notify_all();
}

void Lane::carry_out(std::unique_lock<std::mutex>& lock, std::stop_token stop) {
    const auto work = std::exchange(work_, nullptr);
    const std::stop_token interrupted = interrupt_.get_token();
    lock.unlock();
    std::string failure;
    try {
        work(interrupted);
    } catch (const std::exception& error) {
        failure = error.what();
    }
    lock.lock();
    if (failure.empty()) {
        failures_ = 0;
        return;
    }
    if (interrupted.stop_requested()) return;
    spdlog::warn("{} of {} failed and will be tried again: {}", what_, name_, failure);
    const std::int64_t pause_ms = std::min(longest_pause_ms, first_pause_ms << std::min(failures_, 4));
    ++failures_;
    wake_.wait_for(lock, stop, std::chrono::milliseconds(pause_ms),
                   [&] { return interrupted.stop_requested(); });
}

void Lane::run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (wake_.wait(lock, stop, [this] { return work_ != nullptr; })) {
        carry_out(lock, stop);
        busy_ = false;
        lock.unlock();
        on_idle_();
        lock.lock();
    }
}

}  // namespace fallow::agent
