#include "agent/cuda_api.hpp"

#include <dlfcn.h>

namespace fallow::agent::cuda {
namespace {

template <class Function>
bool find(void* handle, const char* symbol, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(handle, symbol));
    return function != nullptr;
}

}  // namespace

std::optional<Api> load(const std::string& library) {
    void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return std::nullopt;
    Api a;
    // Only the second version tells instances of a divided card apart; who lacks it names cards alone.
    const bool is_complete =
        find(handle, "cuInit", a.init) && find(handle, "cuGetErrorName", a.error_name) &&
        find(handle, "cuDeviceGetCount", a.count) && find(handle, "cuDeviceGet", a.by_index) &&
        (find(handle, "cuDeviceGetUuid_v2", a.uuid) || find(handle, "cuDeviceGetUuid", a.uuid)) &&
        find(handle, "cuDeviceTotalMem_v2", a.memory) &&
        find(handle, "cuDeviceGetAttribute", a.attribute) &&
        find(handle, "cuCtxCreate_v2", a.make_context) && find(handle, "cuCtxDestroy_v2", a.end_context) &&
        find(handle, "cuModuleLoadData", a.load_module) &&
        find(handle, "cuModuleGetFunction", a.function) && find(handle, "cuLaunchKernel", a.launch) &&
        find(handle, "cuCtxSynchronize", a.synchronize) && find(handle, "cuMemAlloc_v2", a.allocate) &&
        find(handle, "cuMemFree_v2", a.release) && find(handle, "cuMemcpyHtoD_v2", a.to_device) &&
        find(handle, "cuMemcpyDtoH_v2", a.from_device) &&
        find(handle, "cuMemHostAlloc", a.allocate_pinned) &&
        find(handle, "cuMemFreeHost", a.release_pinned);
    return is_complete ? std::optional(a) : std::nullopt;
}

void require(const Api& api, Result result, const char* what) {
    if (result == success) return;
    const char* name = nullptr;
    const bool is_known = api.error_name(result, &name) == success && name != nullptr;
    throw ComputeError(std::string(what) + " failed with " +
                       (is_known ? std::string(name) : "CUDA error " + std::to_string(result)));
}

}  // namespace fallow::agent::cuda
