// A context, a queue and the kernels of verify.cl on one OpenCL device; owns all that it makes there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/compute_device.hpp"
#include "agent/opencl_api.hpp"

namespace fallow::agent {

class OpenclSession final : public ComputeDevice {
  public:
    OpenclSession(const OpenclApi& api, cl_device_id device);
    ~OpenclSession() override;

    /// CL_DEVICE_MAX_MEM_ALLOC_SIZE.
    [[nodiscard]] std::int64_t buffer_bytes_max() const override;
    [[nodiscard]] bool has_half() const override;
    [[nodiscard]] DeviceBuffer try_buffer(std::int64_t bytes) override;
    void release(DeviceBuffer buffer) override;
    [[nodiscard]] bool try_run(const std::string& kernel, const KernelArguments& arguments,
                               std::int64_t items) override;
    void read(DeviceBuffer from, void* to, std::int64_t bytes) override;
    void write(DeviceBuffer to, const void* from, std::int64_t bytes) override;
    [[nodiscard]] void* pin(std::int64_t bytes) override;
    void unpin(void* memory) override;

  private:
    cl_mem make(cl_mem_flags flags, std::int64_t bytes);
    cl_kernel kernel(const std::string& name);
    void close();

    const OpenclApi api_;
    cl_device_id device_;
    cl_context context_ = nullptr;
    cl_command_queue queue_ = nullptr;
    cl_program program_ = nullptr;
    std::map<std::string, cl_kernel> kernels_;
    std::vector<cl_mem> buffers_;
    std::map<void*, cl_mem> pinned_;
};

}  // namespace fallow::agent
