// The one source of chance in a simulated world: splitmix64, so that a seed means the same everywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace fallow::sim {

class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
        return mixed ^ (mixed >> 31);
    }
    /// From `lowest` to `highest`, both included.
    std::int64_t between(std::int64_t lowest, std::int64_t highest) {
        return lowest +
               static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(highest - lowest + 1));
    }
    Millis span(std::int64_t lowest_ms, std::int64_t highest_ms) {
        return Millis(between(lowest_ms, highest_ms));
    }
    bool chance(int of_a_thousand) { return between(1, 1000) <= of_a_thousand; }
    template <class T>
    const T& pick(const std::vector<T>& from) {
        return from[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(from.size()) - 1))];
    }
    RawId id() {
        const std::uint64_t high = next();
        return RawId{high, next()};
    }

  private:
    std::uint64_t state_;
};

}  // namespace fallow::sim
