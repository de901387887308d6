// All the memory of a device that can be had, written with a pattern that no two words of it share.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "agent/compute_device.hpp"
#include "agent/verification.hpp"

namespace fallow::agent {

/// Called after each step, so that somebody can tell slow from hung.
using OnStep = std::function<void()>;

/// Holds the memory from its construction on.
class FilledMemory {
  public:
    /// Writes up to `bytes_max`, in buffers of up to `buffer_bytes_max`; less when no more can be had.
    /// Throws ComputeError, as the others do.
    FilledMemory(ComputeDevice& device, std::int64_t bytes_max, std::int64_t buffer_bytes_max,
                 std::uint64_t seed, const OnStep& progress);
    ~FilledMemory();
    FilledMemory(const FilledMemory&) = delete;
    FilledMemory& operator=(const FilledMemory&) = delete;

    /// Reads every word. What this proves was all there at the same time.
    [[nodiscard]] MemoryProof check(const OnStep& progress);
    /// Writes zeros over all of it, and over what it needed for itself.
    void wipe(const OnStep& progress);

  private:
    struct Chunk {
        DeviceBuffer buffer;
        std::int64_t bytes;
        std::uint64_t base;  ///< the word at which it starts, counted over all chunks
    };
    void make_ready();
    void fill(std::int64_t bytes_max, std::int64_t buffer_bytes_max, const OnStep& progress);
    [[nodiscard]] bool add(std::int64_t bytes, std::int64_t start);
    [[nodiscard]] std::int64_t count_wrong(const Chunk& chunk);
    void release();

    ComputeDevice& device_;
    std::uint64_t seed_;
    /// Begins with the count of wrong words. A whole chunk: of a smaller one the driver would keep the
    /// rest, with whatever is in it.
    DeviceBuffer wrong_;
    std::vector<Chunk> chunks_;
};

/// Unknown before the measurement to whoever made the card.
[[nodiscard]] std::uint64_t fresh_seed();

inline constexpr std::int64_t smallest_chunk_bytes = 1LL << 20;

}  // namespace fallow::agent
