#include "agent/opencl_measure.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace fallow::agent {
namespace {

constexpr std::int64_t word_bytes = 4;
constexpr std::int64_t chunk_bytes_max = 1LL << 30;
constexpr std::int64_t smallest_chunk_bytes = 1LL << 20;
constexpr std::int64_t copy_bytes_max = 64LL << 20;
constexpr int repetitions = 5;
constexpr cl_uint multiply_rounds = 256;
constexpr std::int64_t multiply_items = 1 << 17;
constexpr std::int64_t flops_per_round = 64;  // thirty-two multiply-adds

/// Every word gets a value that depends on its own address over the whole device, mixed so that neighbours
/// and mirrors differ (the finalizer of MurmurHash3, by Appleby, public domain).
constexpr const char* source = R"(
uint mixed(ulong address, uint seed) {
    uint h = (uint)address ^ (uint)(address >> 32) * 0x9e3779b9u ^ seed;
    h ^= h >> 16; h *= 0x85ebca6bu; h ^= h >> 13; h *= 0xc2b2ae35u; h ^= h >> 16;
    return h;
}
__kernel void fill(__global uint* words, ulong base, uint seed) {
    size_t i = get_global_id(0);
    words[i] = mixed(base + i, seed);
}
__kernel void check(__global const uint* words, ulong base, uint seed, __global uint* wrong) {
    size_t i = get_global_id(0);
    if (words[i] != mixed(base + i, seed)) atomic_inc(wrong);
}
__kernel void copy(__global const uint4* from, __global uint4* to) {
    size_t i = get_global_id(0);
    to[i] = from[i];
}
__kernel void multiply(__global float* result, float a, float b, uint rounds) {
    // Four chains that do not wait for each other, as the units are deeper than one.
    size_t i = get_global_id(0);
    float8 x = (float8)(0, 1, 2, 3, 4, 5, 6, 7) * b + (float)i * 1e-9f;
    float8 y = x + a, z = y + a, w = z + a;
    for (uint r = 0; r < rounds; ++r) {
        x = mad(x, (float8)(b), (float8)(a));
        y = mad(y, (float8)(b), (float8)(a));
        z = mad(z, (float8)(b), (float8)(a));
        w = mad(w, (float8)(b), (float8)(a));
    }
    x += y + z + w;
    result[i] = x.s0 + x.s1 + x.s2 + x.s3 + x.s4 + x.s5 + x.s6 + x.s7;
}
)";

/// Owns what one measurement makes on the device.
class Session {
  public:
    Session(const OpenclApi& api, cl_device_id device) : api_(api), device_(device) {
        cl_int code = CL_SUCCESS;
        context_ = api_.clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &code);
        require(code, "clCreateContext");
        queue_ = api_.clCreateCommandQueue(context_, device_, 0, &code);
        require(code, "clCreateCommandQueue");
        const char* text = source;
        program_ = api_.clCreateProgramWithSource(context_, 1, &text, nullptr, &code);
        require(code, "clCreateProgramWithSource");
        require(api_.clBuildProgram(program_, 1, &device_, "", nullptr, nullptr), "clBuildProgram");
    }
    ~Session() {
        for (const cl_mem buffer : buffers_)
            api_.clReleaseMemObject(buffer);
        for (const cl_kernel kernel : kernels_)
            api_.clReleaseKernel(kernel);
        if (program_ != nullptr) api_.clReleaseProgram(program_);
        if (queue_ != nullptr) api_.clReleaseCommandQueue(queue_);
        if (context_ != nullptr) api_.clReleaseContext(context_);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Null when the device has no more room.
    cl_mem try_buffer(std::int64_t bytes) {
        cl_int code = CL_SUCCESS;
        const cl_mem buffer = api_.clCreateBuffer(context_, CL_MEM_READ_WRITE,
                                                  static_cast<std::size_t>(bytes), nullptr, &code);
        if (code != CL_SUCCESS) return nullptr;
        buffers_.push_back(buffer);
        return buffer;
    }

    cl_mem buffer(std::int64_t bytes) {
        const cl_mem made = try_buffer(bytes);
        if (made == nullptr) throw std::runtime_error("the device has no room for a small buffer");
        return made;
    }

    void release(cl_mem buffer) {
        buffers_.erase(std::remove(buffers_.begin(), buffers_.end(), buffer), buffers_.end());
        api_.clReleaseMemObject(buffer);
    }

    cl_kernel kernel(const char* name) {
        cl_int code = CL_SUCCESS;
        const cl_kernel made = api_.clCreateKernel(program_, name, &code);
        require(code, "clCreateKernel");
        kernels_.push_back(made);
        return made;
    }

    template <class Value>
    void set(cl_kernel kernel, cl_uint index, const Value& value) {
        // A memory object is passed as its handle, so the handle's own size is meant.
        // NOLINTNEXTLINE(bugprone-sizeof-expression)
        require(api_.clSetKernelArg(kernel, index, sizeof value, &value), "clSetKernelArg");
    }

    /// False when the device could not carry it out, which is how some show that memory ran out.
    bool try_run(cl_kernel kernel, std::int64_t items) {
        const auto size = static_cast<std::size_t>(items);
        return api_.clEnqueueNDRangeKernel(queue_, kernel, 1, nullptr, &size, nullptr, 0, nullptr,
                                           nullptr) == CL_SUCCESS &&
               api_.clFinish(queue_) == CL_SUCCESS;
    }

    void run(cl_kernel kernel, std::int64_t items) {
        if (!try_run(kernel, items)) throw std::runtime_error("the device could not run a kernel");
    }

    cl_uint read_word(cl_mem from) {
        cl_uint value = 0;
        require(
            api_.clEnqueueReadBuffer(queue_, from, CL_TRUE, 0, sizeof value, &value, 0, nullptr, nullptr),
            "clEnqueueReadBuffer");
        return value;
    }

    void write_word(cl_mem to, cl_uint value) {
        require(
            api_.clEnqueueWriteBuffer(queue_, to, CL_TRUE, 0, sizeof value, &value, 0, nullptr, nullptr),
            "clEnqueueWriteBuffer");
    }

  private:
    const OpenclApi& api_;
    cl_device_id device_;
    cl_context context_ = nullptr;
    cl_command_queue queue_ = nullptr;
    cl_program program_ = nullptr;
    std::vector<cl_kernel> kernels_;
    std::vector<cl_mem> buffers_;
};

struct Chunk {
    cl_mem buffer;
    std::int64_t bytes;
    cl_ulong base;  ///< the word at which it starts, counted over all chunks
};

std::int64_t largest_chunk(const OpenclApi& api, cl_device_id device) {
    cl_ulong most = 0;
    if (api.clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, nullptr) !=
        CL_SUCCESS)
        return smallest_chunk_bytes;
    const auto limit =
        static_cast<std::int64_t>(std::min<cl_ulong>(most, static_cast<cl_ulong>(chunk_bytes_max)));
    return limit / smallest_chunk_bytes * smallest_chunk_bytes;
}

/// All memory that can be had, each chunk touched at once: some drivers promise more than they have.
std::vector<Chunk> fill_memory(Session& session, std::int64_t bytes_max, std::int64_t chunk_bytes,
                               cl_uint seed) {
    const cl_kernel fill = session.kernel("fill");
    std::vector<Chunk> chunks;
    std::int64_t total = 0;
    std::int64_t next = chunk_bytes;
    while (total < bytes_max && next >= smallest_chunk_bytes) {
        next = std::min(next, (bytes_max - total) / smallest_chunk_bytes * smallest_chunk_bytes);
        if (next == 0) break;
        const cl_mem buffer = session.try_buffer(next);
        bool filled = false;
        const auto base = static_cast<cl_ulong>(total / word_bytes);
        if (buffer != nullptr) {
            session.set(fill, 0, buffer);
            session.set(fill, 1, base);
            session.set(fill, 2, seed);
            filled = session.try_run(fill, next / word_bytes);
            if (!filled) session.release(buffer);
        }
        if (filled) {
            chunks.push_back({buffer, next, base});
            total += next;
        } else {
            next /= 2;
        }
    }
    return chunks;
}

std::int64_t check_memory(Session& session, const std::vector<Chunk>& chunks, cl_uint seed) {
    const cl_kernel check = session.kernel("check");
    const cl_mem wrong = session.buffer(static_cast<std::int64_t>(sizeof(cl_uint)));
    session.write_word(wrong, 0);
    std::int64_t total = 0;
    for (const Chunk& chunk : chunks) {
        session.set(check, 0, chunk.buffer);
        session.set(check, 1, chunk.base);
        session.set(check, 2, seed);
        session.set(check, 3, wrong);
        session.run(check, chunk.bytes / word_bytes);
        total += chunk.bytes;
    }
    if (session.read_word(wrong) != 0) throw std::runtime_error("memory did not keep the pattern");
    session.release(wrong);
    return total;
}

/// The best of several runs, in seconds: the others were disturbed.
template <class Work>
double best_seconds(const Work& work) {
    work();
    double best = 1e30;
    for (int i = 0; i < repetitions; ++i) {
        const auto start = std::chrono::steady_clock::now();
        work();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        best = std::min(best, took.count());
    }
    return std::max(best, 1e-9);
}

std::int64_t measure_bandwidth(Session& session, std::int64_t bytes_max) {
    const std::int64_t bytes =
        std::max(smallest_chunk_bytes,
                 std::min(copy_bytes_max, bytes_max / 2) / smallest_chunk_bytes * smallest_chunk_bytes);
    const cl_kernel copy = session.kernel("copy");
    session.set(copy, 0, session.buffer(bytes));
    session.set(copy, 1, session.buffer(bytes));
    const double seconds = best_seconds([&] { session.run(copy, bytes / 16); });
    return static_cast<std::int64_t>(2.0 * static_cast<double>(bytes) / seconds);
}

std::int64_t measure_flops(Session& session) {
    const cl_kernel multiply = session.kernel("multiply");
    session.set(multiply, 0, session.buffer(multiply_items * word_bytes));
    session.set(multiply, 1, cl_float{0.5F});
    session.set(multiply, 2, cl_float{0.999F});
    session.set(multiply, 3, multiply_rounds);
    const double seconds = best_seconds([&] { session.run(multiply, multiply_items); });
    const double flops = static_cast<double>(multiply_items * flops_per_round) * multiply_rounds;
    return static_cast<std::int64_t>(flops / seconds);
}

}  // namespace

Measurement measure_device(const OpenclApi& api, cl_device_id device, std::int64_t bytes_max) {
    Measurement found;
    {
        Session session(api, device);
        const auto seed = static_cast<cl_uint>(std::chrono::steady_clock::now().time_since_epoch().count());
        const std::vector<Chunk> chunks = fill_memory(session, bytes_max, largest_chunk(api, device), seed);
        found.proved_bytes = check_memory(session, chunks, seed);
    }
    Session session(api, device);
    found.bandwidth_bytes_per_s = measure_bandwidth(session, bytes_max);
    found.fp32_flops = measure_flops(session);
    return found;
}

}  // namespace fallow::agent
