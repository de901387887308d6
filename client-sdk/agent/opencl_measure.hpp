// Proves and measures one OpenCL device: how much memory is really there, how fast it moves, how fast it
// multiplies.
#pragma once

#include <cstdint>

#include "agent/opencl_api.hpp"

namespace fallow::agent {

struct Measurement {
    std::int64_t proved_bytes = 0;           ///< held an address-unique pattern, all of it at the same time
    std::int64_t bandwidth_bytes_per_s = 0;  ///< read plus written by a copy kernel
    std::int64_t fp32_flops = 0;             ///< a multiply-add counts as two
};

/// Fills up to `bytes_max` of the device's memory, in as many buffers as its limits ask for, and checks
/// every word after the last one was written: memory that is not there, or is there twice, cannot pass.
/// Fewer bytes are proved when no more can be had. Throws OpenclError, or std::runtime_error when a word
/// reads back wrong.
[[nodiscard]] Measurement measure_device(const OpenclApi& api, cl_device_id device, std::int64_t bytes_max);

}  // namespace fallow::agent
