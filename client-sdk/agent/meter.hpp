// Counts the milliseconds a container really ran, on the boot clock. A value: no clock is read here.
#pragma once

#include <cstdint>

namespace fallow::agent {

struct Meter {
    std::int64_t accumulated_ms = 0;  ///< proved up to `counted_at_boot_ms`
    std::int64_t counted_at_boot_ms = 0;
    bool counting = false;

    void resume(std::int64_t boot_ms) {
        if (counting) return;
        counting = true;
        // Never over what was counted already.
        counted_at_boot_ms = boot_ms > counted_at_boot_ms ? boot_ms : counted_at_boot_ms;
    }

    [[nodiscard]] std::int64_t at(std::int64_t boot_ms) const {
        return counting && boot_ms > counted_at_boot_ms ? accumulated_ms + boot_ms - counted_at_boot_ms
                                                        : accumulated_ms;
    }

    /// Counts up to now and goes on.
    std::int64_t read(std::int64_t boot_ms) {
        accumulated_ms = at(boot_ms);
        if (counting && boot_ms > counted_at_boot_ms) counted_at_boot_ms = boot_ms;
        return accumulated_ms;
    }

    void pause(std::int64_t boot_ms) {
        read(boot_ms);
        counting = false;
    }

    /// At the end the engine's own span from start to finish, less pauses, may prove that less ran than was
    /// counted: polling sees an exit late. What was already stated to the server cannot be taken back.
    void settle(std::int64_t engine_ran_ms, std::int64_t stated_ms) {
        counting = false;
        if (engine_ran_ms >= 0 && engine_ran_ms < accumulated_ms)
            accumulated_ms = engine_ran_ms > stated_ms ? engine_ran_ms : stated_ms;
    }

    friend bool operator==(const Meter&, const Meter&) = default;
};

}  // namespace fallow::agent
