// What measuring and wiping a card need of it, whichever driver it is reached through: memory, the kernels
// of verify.cl, and copies to and from the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace fallow::agent {

/// The driver refused, or the device failed.
class ComputeError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Memory on the device, by the driver's own handle (a cl_mem, a CUdeviceptr); 0 is none.
struct DeviceBuffer {
    std::uint64_t handle = 0;
    friend bool operator==(const DeviceBuffer&, const DeviceBuffer&) = default;
};

/// A kernel's argument, of the type that its parameter has in verify.cl.
using KernelArgument = std::variant<DeviceBuffer, std::uint64_t, std::uint32_t, float>;
using KernelArguments = std::vector<KernelArgument>;

/// Where its value lies, for as long as it does; a buffer's is its handle.
struct ArgumentPlace {
    const void* at;
    std::size_t size;
};
[[nodiscard]] ArgumentPlace place_of(const KernelArgument& argument);

/// A context on one device, with all that is made in it; one thread at a time. Everything throws
/// ComputeError unless it says otherwise.
class ComputeDevice {
  public:
    ComputeDevice() = default;
    virtual ~ComputeDevice() = default;
    ComputeDevice(const ComputeDevice&) = delete;
    ComputeDevice& operator=(const ComputeDevice&) = delete;

    /// In whole MiB, 1 GiB at most: a step has to end before somebody thinks it hangs.
    [[nodiscard]] virtual std::int64_t buffer_bytes_max() const = 0;
    /// Whether there is `multiply_half`.
    [[nodiscard]] virtual bool has_half() const = 0;

    /// None when the device has no more room.
    [[nodiscard]] virtual DeviceBuffer try_buffer(std::int64_t bytes) = 0;
    [[nodiscard]] DeviceBuffer buffer(std::int64_t bytes);
    virtual void release(DeviceBuffer buffer) = 0;

    /// Once for each of `items`, a multiple of `items_step`; waits for the end. False when the device could
    /// not carry it out, which is how some show that memory ran out.
    [[nodiscard]] virtual bool try_run(const std::string& kernel, const KernelArguments& arguments,
                                       std::int64_t items) = 0;
    void run(const std::string& kernel, const KernelArguments& arguments, std::int64_t items);

    virtual void read(DeviceBuffer from, void* to, std::int64_t bytes) = 0;
    virtual void write(DeviceBuffer to, const void* from, std::int64_t bytes) = 0;

    /// Host memory that the device can reach without a copy in between, until `unpin`.
    [[nodiscard]] virtual void* pin(std::int64_t bytes) = 0;
    virtual void unpin(void* memory) = 0;
};

inline constexpr std::int64_t items_step = 256;
inline constexpr std::int64_t device_chunk_bytes_max = 1LL << 30;

/// A device that has been found, and how it is worked on.
struct FoundDevice {
    std::string driver;             ///< "cuda" or "opencl"
    std::int64_t memory_bytes = 0;  ///< all that it states, or what of a CPU device's is to be tried
    std::function<std::unique_ptr<ComputeDevice>()> open;
};

}  // namespace fallow::agent
