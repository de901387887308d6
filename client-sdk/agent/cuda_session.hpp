// A context on one CUDA device, with the kernels of verify.cl; owns all that it makes there.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "agent/compute_device.hpp"
#include "agent/cuda_api.hpp"

namespace fallow::agent {

class CudaSession final : public ComputeDevice {
  public:
    CudaSession(const cuda::Api& api, cuda::Device device);
    ~CudaSession() override;

    [[nodiscard]] std::int64_t buffer_bytes_max() const override { return device_chunk_bytes_max; }
    [[nodiscard]] bool has_half() const override { return true; }  // since compute capability 5.3
    [[nodiscard]] DeviceBuffer try_buffer(std::int64_t bytes) override;
    void release(DeviceBuffer buffer) override;
    [[nodiscard]] bool try_run(const std::string& kernel, const KernelArguments& arguments,
                               std::int64_t items) override;
    void read(DeviceBuffer from, void* to, std::int64_t bytes) override;
    void write(DeviceBuffer to, const void* from, std::int64_t bytes) override;
    [[nodiscard]] void* pin(std::int64_t bytes) override;
    void unpin(void* memory) override;

  private:
    cuda::Function kernel(const std::string& name);
    void require(cuda::Result result, const char* what) const { cuda::require(api_, result, what); }

    const cuda::Api api_;
    cuda::Context context_ = nullptr;
    cuda::Module module_ = nullptr;
    std::map<std::string, cuda::Function> kernels_;
};

}  // namespace fallow::agent
