// Time that passes only when somebody pauses, and randomness one can predict.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "fallow/environment.hpp"

namespace fallow::sdk::testing {

class FakeEnvironment final : public Environment {
  public:
    std::int64_t now_ms() override { return now; }
    void pause(std::int64_t duration_ms, const std::stop_token&) override {
        pauses.push_back(duration_ms);
        now += duration_ms;
        if (on_pause) on_pause();
    }
    std::uint64_t random_bits() override { return next_random += random_step; }

    std::int64_t now = 1'000'000;
    std::vector<std::int64_t> pauses;
    std::function<void()> on_pause;
    std::uint64_t next_random = 0;
    std::uint64_t random_step = 1;
};

}  // namespace fallow::sdk::testing
