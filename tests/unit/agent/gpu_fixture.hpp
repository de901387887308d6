// Waiting for what a child of the agent says of the cards.
#pragma once

#include <vector>

#include "agent/gpu_watch.hpp"
#include "support/until.hpp"

namespace fallow::agent::testing {

using fallow::testing::until;

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
