#include "agent/opencl_session.hpp"

#include <algorithm>

namespace fallow::agent {

extern const char* const verify_kernels;  // verify.cl, embedded by CMake

namespace {

// A buffer's handle is the object's address.
cl_mem memory_of(DeviceBuffer buffer) {
    return reinterpret_cast<cl_mem>(buffer.handle);
}
DeviceBuffer handle_of(cl_mem memory) {
    return {reinterpret_cast<std::uintptr_t>(memory)};
}

}  // namespace

OpenclSession::OpenclSession(const OpenclApi& api, cl_device_id device) : api_(api), device_(device) {
    try {
        cl_int code = CL_SUCCESS;
        context_ = api_.clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &code);
        require(code, "clCreateContext");
        queue_ = api_.clCreateCommandQueue(context_, device_, 0, &code);
        require(code, "clCreateCommandQueue");
        const char* text = verify_kernels;
        program_ = api_.clCreateProgramWithSource(context_, 1, &text, nullptr, &code);
        require(code, "clCreateProgramWithSource");
        require(api_.clBuildProgram(program_, 1, &device_, "", nullptr, nullptr), "clBuildProgram");
    } catch (...) {
        close();
        throw;
    }
}

OpenclSession::~OpenclSession() {
    close();
}

void OpenclSession::close() {
    for (const cl_mem buffer : buffers_)
        api_.clReleaseMemObject(buffer);
    for (const auto& [name, kernel] : kernels_)
        api_.clReleaseKernel(kernel);
    if (program_ != nullptr) api_.clReleaseProgram(program_);
    if (queue_ != nullptr) api_.clReleaseCommandQueue(queue_);
    if (context_ != nullptr) api_.clReleaseContext(context_);
}

std::int64_t OpenclSession::buffer_bytes_max() const {
    constexpr std::int64_t mib = 1LL << 20;
    cl_ulong most = 0;
    if (api_.clGetDeviceInfo(device_, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, nullptr) !=
        CL_SUCCESS)
        return mib;
    return std::min(static_cast<std::int64_t>(most >> 20) * mib, device_chunk_bytes_max);
}

bool OpenclSession::has_half() const {
    std::size_t size = 0;
    if (api_.clGetDeviceInfo(device_, CL_DEVICE_EXTENSIONS, 0, nullptr, &size) != CL_SUCCESS) return false;
    std::string names(size, '\0');
    return api_.clGetDeviceInfo(device_, CL_DEVICE_EXTENSIONS, size, names.data(), nullptr) == CL_SUCCESS &&
           names.find("cl_khr_fp16") != names.npos;
}

cl_mem OpenclSession::make(cl_mem_flags flags, std::int64_t bytes) {
    cl_int code = CL_SUCCESS;
    const cl_mem made =
        api_.clCreateBuffer(context_, flags, static_cast<std::size_t>(bytes), nullptr, &code);
    if (code != CL_SUCCESS) return nullptr;
    buffers_.push_back(made);
    return made;
}

DeviceBuffer OpenclSession::try_buffer(std::int64_t bytes) {
    return handle_of(make(CL_MEM_READ_WRITE, bytes));
}

void OpenclSession::release(DeviceBuffer buffer) {
    std::erase(buffers_, memory_of(buffer));
    api_.clReleaseMemObject(memory_of(buffer));
}

cl_kernel OpenclSession::kernel(const std::string& name) {
    if (const auto made = kernels_.find(name); made != kernels_.end()) return made->second;
    cl_int code = CL_SUCCESS;
    const cl_kernel made = api_.clCreateKernel(program_, name.c_str(), &code);
    require(code, "clCreateKernel");
    kernels_.emplace(name, made);
    return made;
}

bool OpenclSession::try_run(const std::string& name, const KernelArguments& arguments, std::int64_t items) {
    const cl_kernel kernel = this->kernel(name);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const ArgumentPlace place = place_of(arguments[i]);
        require(api_.clSetKernelArg(kernel, static_cast<cl_uint>(i), place.size, place.at),
                "clSetKernelArg");
    }
    const auto size = static_cast<std::size_t>(items);
    return api_.clEnqueueNDRangeKernel(queue_, kernel, 1, nullptr, &size, nullptr, 0, nullptr, nullptr) ==
               CL_SUCCESS &&
           api_.clFinish(queue_) == CL_SUCCESS;
}

void OpenclSession::read(DeviceBuffer from, void* to, std::int64_t bytes) {
    require(api_.clEnqueueReadBuffer(queue_, memory_of(from), CL_TRUE, 0, static_cast<std::size_t>(bytes),
                                     to, 0, nullptr, nullptr),
            "clEnqueueReadBuffer");
}

void OpenclSession::write(DeviceBuffer to, const void* from, std::int64_t bytes) {
    require(api_.clEnqueueWriteBuffer(queue_, memory_of(to), CL_TRUE, 0, static_cast<std::size_t>(bytes),
                                      from, 0, nullptr, nullptr),
            "clEnqueueWriteBuffer");
}

void* OpenclSession::pin(std::int64_t bytes) {
    const cl_mem made = make(CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes);
    if (made == nullptr) throw OpenclError("a pinned buffer", CL_MEM_OBJECT_ALLOCATION_FAILURE);
    cl_int code = CL_SUCCESS;
    void* const memory =
        api_.clEnqueueMapBuffer(queue_, made, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                static_cast<std::size_t>(bytes), 0, nullptr, nullptr, &code);
    require(code, "clEnqueueMapBuffer");
    pinned_.emplace(memory, made);
    return memory;
}

void OpenclSession::unpin(void* memory) {
    const cl_mem buffer = pinned_.at(memory);
    pinned_.erase(memory);
    require(api_.clEnqueueUnmapMemObject(queue_, buffer, memory, 0, nullptr, nullptr),
            "clEnqueueUnmapMemObject");
    require(api_.clFinish(queue_), "clFinish");
    release(handle_of(buffer));
}

}  // namespace fallow::agent
