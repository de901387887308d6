// A context, a queue and the kernels of verify.cl on one OpenCL device; owns all that it makes there.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/opencl_api.hpp"

namespace fallow::agent {

/// One thread at a time. Throws OpenclError unless it says otherwise.
class OpenclSession {
  public:
    OpenclSession(const OpenclApi& api, cl_device_id device);
    ~OpenclSession();
    OpenclSession(const OpenclSession&) = delete;
    OpenclSession& operator=(const OpenclSession&) = delete;

    /// Null when the device has no more room.
    cl_mem try_buffer(std::int64_t bytes);
    cl_mem buffer(std::int64_t bytes);
    void release(cl_mem buffer);
    cl_kernel kernel(const char* name);

    template <class Value>
    void set(cl_kernel kernel, cl_uint index, const Value& value) {
        // A memory object is passed as its handle, so the handle's own size is meant.
        // NOLINTNEXTLINE(bugprone-sizeof-expression)
        require(api_.clSetKernelArg(kernel, index, sizeof value, static_cast<const void*>(&value)),
                "clSetKernelArg");
    }

    /// False when the device could not carry it out, which is how some show that memory ran out.
    [[nodiscard]] bool try_run(cl_kernel kernel, std::int64_t items);
    void run(cl_kernel kernel, std::int64_t items);

    void read(cl_mem from, void* to, std::int64_t bytes);
    void write(cl_mem to, const void* from, std::int64_t bytes);

    /// Host memory that the device can reach without a copy in between, until `unmap`; `buffer` is its
    /// handle.
    struct Pinned {
        cl_mem buffer;
        void* memory;
    };
    Pinned pinned(std::int64_t bytes);
    void unmap(const Pinned& pinned);

  private:
    cl_mem make(cl_mem_flags flags, std::int64_t bytes);
    void close();

    const OpenclApi& api_;
    cl_device_id device_;
    cl_context context_ = nullptr;
    cl_command_queue queue_ = nullptr;
    cl_program program_ = nullptr;
    std::vector<cl_kernel> kernels_;
    std::vector<cl_mem> buffers_;
};

}  // namespace fallow::agent
