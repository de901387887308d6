// What many a test of memory does: each piece is written and read back before the next.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "agent/compute_device.hpp"

namespace fallow::agent::testing {

/// It finds nothing wrong with memory that is there more than once.
inline bool reads_back_piece_by_piece(ComputeDevice& device, std::int64_t bytes, std::int64_t piece_bytes) {
    std::mt19937_64 words(7);
    std::vector<std::uint64_t> written(static_cast<std::size_t>(piece_bytes) / 8);
    std::vector<std::uint64_t> read(written.size());
    for (std::int64_t done = 0; done < bytes; done += piece_bytes) {
        const DeviceBuffer piece = device.buffer(piece_bytes);
        for (std::uint64_t& word : written)
            word = words();
        device.write(piece, written.data(), piece_bytes);
        device.read(piece, read.data(), piece_bytes);
        if (read != written) return false;
    }
    return true;
}

}  // namespace fallow::agent::testing
