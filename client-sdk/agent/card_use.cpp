#include "agent/card_use.hpp"

#include <algorithm>
#include <chrono>

#include "agent/clock.hpp"
#include "agent/owner_sampler.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t sample_every_ms = 2500;
constexpr std::int64_t reading_ms_max = 4 * sample_every_ms;

}  // namespace

std::optional<std::int64_t> CardUse::percent(const std::vector<LeaseCard>& cards) {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
    std::int64_t most = 0;
    for (const LeaseCard& card : cards) {
        const auto reading = readings_.find(card.uuid);
        if (reading == readings_.end()) return std::nullopt;
        if (boot_clock_ms() - reading->second.at_boot_ms > reading_ms_max) return std::nullopt;
        most = std::max(most, reading->second.percent);
    }
    return most;
}

void CardUse::run(std::stop_token stop) {
    UseSampler sampler("libnvidia-ml.so.1");
    while (!stop.stop_requested()) {
        const auto percents = sampler.percents(cards_());
        std::unique_lock lock(mutex_);
        for (const auto& [uuid, percent] : percents)
            readings_[uuid] = {percent, boot_clock_ms()};
        changed_.wait_for(lock, stop, std::chrono::milliseconds(sample_every_ms), [] { return false; });
    }
}

}  // namespace fallow::agent
