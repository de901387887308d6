#include "agent/cuda_session.hpp"

#include <limits>
#include <vector>

namespace fallow::agent {

extern const char* const verify_ptx;  // verify.cl, translated by clang and embedded by CMake

CudaSession::CudaSession(const cuda::Api& api, cuda::Device device) : api_(api) {
    require(api_.make_context(&context_, 0, device), "cuCtxCreate");
    const cuda::Result loaded = api_.load_module(&module_, verify_ptx);
    if (loaded != cuda::success) api_.end_context(context_);
    require(loaded, "cuModuleLoadData");
}

/// With the context goes all that was made in it.
CudaSession::~CudaSession() {
    api_.end_context(context_);
}

DeviceBuffer CudaSession::try_buffer(std::int64_t bytes) {
    cuda::DevicePointer pointer = 0;
    const cuda::Result made = api_.allocate(&pointer, static_cast<std::size_t>(bytes));
    if (made == cuda::out_of_memory) return {};
    require(made, "cuMemAlloc");
    return {pointer};
}

void CudaSession::release(DeviceBuffer buffer) {
    api_.release(buffer.handle);
}

cuda::Function CudaSession::kernel(const std::string& name) {
    if (const auto found = kernels_.find(name); found != kernels_.end()) return found->second;
    cuda::Function function = nullptr;
    require(api_.function(&function, module_, name.c_str()), "cuModuleGetFunction");
    kernels_.emplace(name, function);
    return function;
}

bool CudaSession::try_run(const std::string& name, const KernelArguments& arguments, std::int64_t items) {
    if (items % items_step != 0 || items / items_step > std::numeric_limits<std::int32_t>::max())
        throw ComputeError("no grid has " + std::to_string(items) + " items");
    std::vector<void*> places;
    for (const KernelArgument& argument : arguments)
        places.push_back(const_cast<void*>(place_of(argument).at));  // the driver only reads there
    const cuda::Result launched =
        api_.launch(kernel(name), static_cast<unsigned int>(items / items_step), 1, 1,
                    static_cast<unsigned int>(items_step), 1, 1, 0, nullptr, places.data(), nullptr);
    if (launched == cuda::out_of_memory || launched == cuda::launch_out_of_resources) return false;
    require(launched, "cuLaunchKernel");
    require(api_.synchronize(), "cuCtxSynchronize");
    return true;
}

void CudaSession::read(DeviceBuffer from, void* to, std::int64_t bytes) {
    require(api_.from_device(to, from.handle, static_cast<std::size_t>(bytes)), "cuMemcpyDtoH");
}

void CudaSession::write(DeviceBuffer to, const void* from, std::int64_t bytes) {
    require(api_.to_device(to.handle, from, static_cast<std::size_t>(bytes)), "cuMemcpyHtoD");
}

void* CudaSession::pin(std::int64_t bytes) {
    void* memory = nullptr;
    require(api_.allocate_pinned(&memory, static_cast<std::size_t>(bytes), 0), "cuMemHostAlloc");
    return memory;
}

void CudaSession::unpin(void* memory) {
    require(api_.release_pinned(memory), "cuMemFreeHost");
}

}  // namespace fallow::agent
