#include "agent/opencl_session.hpp"

#include <algorithm>

namespace fallow::agent {

extern const char* const verify_kernels;  // verify.cl, embedded by CMake

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
    for (const cl_kernel kernel : kernels_)
        api_.clReleaseKernel(kernel);
    if (program_ != nullptr) api_.clReleaseProgram(program_);
    if (queue_ != nullptr) api_.clReleaseCommandQueue(queue_);
    if (context_ != nullptr) api_.clReleaseContext(context_);
}

cl_mem OpenclSession::make(cl_mem_flags flags, std::int64_t bytes) {
    cl_int code = CL_SUCCESS;
    const cl_mem made =
        api_.clCreateBuffer(context_, flags, static_cast<std::size_t>(bytes), nullptr, &code);
    if (code != CL_SUCCESS) return nullptr;
    buffers_.push_back(made);
    return made;
}

cl_mem OpenclSession::try_buffer(std::int64_t bytes) {
    return make(CL_MEM_READ_WRITE, bytes);
}

cl_mem OpenclSession::buffer(std::int64_t bytes) {
    const cl_mem made = try_buffer(bytes);
    if (made == nullptr) throw OpenclError("a small buffer", CL_MEM_OBJECT_ALLOCATION_FAILURE);
    return made;
}

void OpenclSession::release(cl_mem buffer) {
    buffers_.erase(std::remove(buffers_.begin(), buffers_.end(), buffer), buffers_.end());
    api_.clReleaseMemObject(buffer);
}

cl_kernel OpenclSession::kernel(const char* name) {
    cl_int code = CL_SUCCESS;
    const cl_kernel made = api_.clCreateKernel(program_, name, &code);
    require(code, "clCreateKernel");
    kernels_.push_back(made);
    return made;
}

bool OpenclSession::try_run(cl_kernel kernel, std::int64_t items) {
    const auto size = static_cast<std::size_t>(items);
    return api_.clEnqueueNDRangeKernel(queue_, kernel, 1, nullptr, &size, nullptr, 0, nullptr, nullptr) ==
               CL_SUCCESS &&
           api_.clFinish(queue_) == CL_SUCCESS;
}

void OpenclSession::run(cl_kernel kernel, std::int64_t items) {
    if (!try_run(kernel, items)) throw OpenclError("a kernel", CL_OUT_OF_RESOURCES);
}

void OpenclSession::read(cl_mem from, void* to, std::int64_t bytes) {
    require(api_.clEnqueueReadBuffer(queue_, from, CL_TRUE, 0, static_cast<std::size_t>(bytes), to, 0,
                                     nullptr, nullptr),
            "clEnqueueReadBuffer");
}

void OpenclSession::write(cl_mem to, const void* from, std::int64_t bytes) {
    require(api_.clEnqueueWriteBuffer(queue_, to, CL_TRUE, 0, static_cast<std::size_t>(bytes), from, 0,
                                      nullptr, nullptr),
            "clEnqueueWriteBuffer");
}

OpenclSession::Pinned OpenclSession::pinned(std::int64_t bytes) {
    const cl_mem made = make(CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes);
    if (made == nullptr) throw OpenclError("a pinned buffer", CL_MEM_OBJECT_ALLOCATION_FAILURE);
    cl_int code = CL_SUCCESS;
    void* const memory =
        api_.clEnqueueMapBuffer(queue_, made, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                static_cast<std::size_t>(bytes), 0, nullptr, nullptr, &code);
    require(code, "clEnqueueMapBuffer");
    return {made, memory};
}

void OpenclSession::unmap(const Pinned& pinned) {
    require(api_.clEnqueueUnmapMemObject(queue_, pinned.buffer, pinned.memory, 0, nullptr, nullptr),
            "clEnqueueUnmapMemObject");
    require(api_.clFinish(queue_), "clFinish");
}

}  // namespace fallow::agent
