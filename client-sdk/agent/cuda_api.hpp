// The functions of the CUDA driver's library that measuring and wiping use, with our own declarations of
// them. The names and types are its ABI, fixed by the version suffixes of its functions (CUDA Driver API
// reference, chapters "Initialization", "Device Management", "Context Management", "Module Management",
// "Memory Management", "Execution Control", "Error Handling").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "agent/compute_device.hpp"

namespace fallow::agent::cuda {

using Result = int;
using Device = int;
using Context = void*;
using Module = void*;
using Function = void*;
using Stream = void*;
using DevicePointer = unsigned long long;

inline constexpr Result success = 0;
inline constexpr Result out_of_memory = 2;
inline constexpr Result no_device = 100;
inline constexpr Result launch_out_of_resources = 701;
inline constexpr int compute_capability_major = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR

struct Uuid {
    unsigned char bytes[16];
};

struct Api {
    Result (*init)(unsigned int) = nullptr;
    Result (*error_name)(Result, const char**) = nullptr;
    Result (*count)(int*) = nullptr;
    Result (*by_index)(Device*, int) = nullptr;
    Result (*uuid)(Uuid*, Device) = nullptr;
    Result (*memory)(std::size_t*, Device) = nullptr;
    Result (*attribute)(int*, int, Device) = nullptr;
    Result (*make_context)(Context*, unsigned int, Device) = nullptr;
    Result (*end_context)(Context) = nullptr;
    Result (*load_module)(Module*, const void*) = nullptr;
    Result (*function)(Function*, Module, const char*) = nullptr;
    /// The grid, the block, octets of shared memory, the stream, where the arguments lie, further options
    Result (*launch)(Function, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int,
                     unsigned int, unsigned int, Stream, void**, void**) = nullptr;
    Result (*synchronize)() = nullptr;
    Result (*allocate)(DevicePointer*, std::size_t) = nullptr;
    Result (*release)(DevicePointer) = nullptr;
    Result (*to_device)(DevicePointer, const void*, std::size_t) = nullptr;
    Result (*from_device)(void*, DevicePointer, std::size_t) = nullptr;
    Result (*allocate_pinned)(void**, std::size_t, unsigned int) = nullptr;
    Result (*release_pinned)(void*) = nullptr;
};

/// Nothing when the library is not there or lacks a function. It stays open: drivers survive no other.
[[nodiscard]] std::optional<Api> load(const std::string& library);

/// Throws ComputeError with the driver's own name of the error.
void require(const Api& api, Result result, const char* what);

}  // namespace fallow::agent::cuda
