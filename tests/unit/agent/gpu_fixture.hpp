// Waiting for what a child of the agent says of the cards.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <thread>

#include "agent/clock.hpp"
#include "agent/gpu_watch.hpp"

namespace fallow::agent::testing {

/// Fails when it does not become true within a minute.
inline void until(const std::string& what, const std::function<bool()>& is_so) {
    for (const std::int64_t deadline = boot_clock_ms() + 60'000; !is_so();) {
        INFO(what);
        REQUIRE(boot_clock_ms() < deadline);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

/// What the child says first.
inline std::vector<GpuReading> first_reading(GpuWatch& watch) {
    watch.want(true);
    std::vector<GpuReading> readings;
    until("a card is read", [&] {
        readings = watch.latest();
        return !readings.empty();
    });
    return readings;
}

}  // namespace fallow::agent::testing
