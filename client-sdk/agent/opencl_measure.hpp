// Proves and measures one OpenCL device: how much memory is really there, how fast it moves on the card and
// to and from it, how fast the card multiplies.
#pragma once

#include <cstdint>
#include <functional>

#include "agent/opencl_session.hpp"
#include "agent/verification.hpp"

namespace fallow::agent {

/// Called after each step, so that somebody can tell slow from hung.
using OnProgress = std::function<void()>;

/// Writes up to `bytes_max` of the device's memory, in as many buffers as CL_DEVICE_MAX_MEM_ALLOC_SIZE asks
/// for, and reads every word only after the last one was written. Fewer bytes are written when no more can
/// be had. Throws OpenclError.
[[nodiscard]] MemoryProof prove_memory(OpenclSession& session, std::int64_t bytes_max,
                                       std::int64_t buffer_bytes_max, std::uint64_t seed,
                                       const OnProgress& progress);

/// The proof with a fresh seed over `bytes_max`, then the rates, each the best of five.
[[nodiscard]] Measurement measure_device(const OpenclApi& api, cl_device_id device, std::int64_t bytes_max,
                                         const OnProgress& progress);

/// CL_DEVICE_MAX_MEM_ALLOC_SIZE in whole MiB, at most 1 GiB: a step has to end before somebody thinks it
/// hangs.
[[nodiscard]] std::int64_t buffer_bytes_max(const OpenclApi& api, cl_device_id device);

}  // namespace fallow::agent
