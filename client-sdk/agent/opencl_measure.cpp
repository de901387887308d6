#include "agent/opencl_measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace fallow::agent {
namespace {

constexpr std::int64_t word_bytes = 8;
constexpr std::int64_t chunk_bytes_max = 1LL << 30;
constexpr std::int64_t smallest_chunk_bytes = 1LL << 20;
constexpr std::int64_t copy_bytes_max = 64LL << 20;
constexpr int repetitions = 5;
constexpr cl_uint multiply_rounds = 256;
constexpr std::int64_t multiply_items = 1 << 17;
constexpr std::int64_t flops_per_round = 64;  // thirty-two multiply-adds

struct Chunk {
    cl_mem buffer;
    std::int64_t bytes;
    cl_ulong base;  ///< the word at which it starts, counted over all chunks
};

/// All memory that can be had, each chunk touched at once: some drivers promise more than they have.
std::vector<Chunk> fill_memory(OpenclSession& session, std::int64_t bytes_max, std::int64_t chunk_bytes,
                               cl_ulong seed, const OnProgress& progress) {
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
            next = next / 2 / smallest_chunk_bytes * smallest_chunk_bytes;
        }
        progress();
    }
    return chunks;
}

/// The best of several runs, in seconds: the others were disturbed.
template <class Work>
double best_seconds(const Work& work, const OnProgress& progress) {
    work();
    double best = 1e30;
    for (int i = 0; i < repetitions; ++i) {
        const auto start = std::chrono::steady_clock::now();
        work();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        best = std::min(best, took.count());
        progress();
    }
    return std::max(best, 1e-9);
}

std::int64_t rate(double amount, double seconds) {
    return static_cast<std::int64_t>(amount / seconds);
}

void measure_transfers(OpenclSession& session, std::int64_t bytes, const OnProgress& progress,
                       Measurement& found) {
    const cl_mem device = session.buffer(bytes);
    const OpenclSession::Pinned host = session.pinned(bytes);
    std::memset(host.memory, 0x5a, static_cast<std::size_t>(bytes));
    const double there = best_seconds([&] { session.write(device, host.memory, bytes); }, progress);
    const double back = best_seconds([&] { session.read(device, host.memory, bytes); }, progress);
    session.unmap(host);
    found.to_device_bytes_per_s = rate(static_cast<double>(bytes), there);
    found.from_device_bytes_per_s = rate(static_cast<double>(bytes), back);
    session.release(host.buffer);
    session.release(device);
}

std::int64_t measure_bandwidth(OpenclSession& session, std::int64_t bytes, const OnProgress& progress) {
    const cl_kernel copy = session.kernel("copy");
    session.set(copy, 0, session.buffer(bytes));
    session.set(copy, 1, session.buffer(bytes));
    return rate(2.0 * static_cast<double>(bytes),
                best_seconds([&] { session.run(copy, bytes / 16); }, progress));
}

std::int64_t measure_flops(OpenclSession& session, const char* kernel_name, const OnProgress& progress) {
    const cl_kernel multiply = session.kernel(kernel_name);
    session.set(multiply, 0, session.buffer(multiply_items * static_cast<std::int64_t>(sizeof(cl_float))));
    session.set(multiply, 1, cl_float{0.5F});
    session.set(multiply, 2, cl_float{0.999F});
    session.set(multiply, 3, multiply_rounds);
    const double flops = static_cast<double>(multiply_items * flops_per_round) * multiply_rounds;
    return rate(flops, best_seconds([&] { session.run(multiply, multiply_items); }, progress));
}

bool has_half(const OpenclApi& api, cl_device_id device) {
    std::size_t size = 0;
    if (api.clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, 0, nullptr, &size) != CL_SUCCESS) return false;
    std::string names(size, '\0');
    return api.clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, size, names.data(), nullptr) == CL_SUCCESS &&
           names.find("cl_khr_fp16") != names.npos;
}

/// Unknown before the measurement to whoever made the card.
std::uint64_t fresh_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

}  // namespace

std::int64_t buffer_bytes_max(const OpenclApi& api, cl_device_id device) {
    cl_ulong most = 0;
    if (api.clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, nullptr) !=
        CL_SUCCESS)
        return smallest_chunk_bytes;
    const auto limit =
        static_cast<std::int64_t>(std::min<cl_ulong>(most, static_cast<cl_ulong>(chunk_bytes_max)));
    return limit / smallest_chunk_bytes * smallest_chunk_bytes;
}

MemoryProof prove_memory(OpenclSession& session, std::int64_t bytes_max, std::int64_t buffer_bytes_max,
                         std::uint64_t seed, const OnProgress& progress) {
    const cl_mem wrong = session.buffer(sizeof(cl_uint));
    const std::vector<Chunk> chunks = fill_memory(session, bytes_max, buffer_bytes_max, seed, progress);
    const cl_kernel check = session.kernel("check");
    MemoryProof proof;
    for (const Chunk& chunk : chunks) {
        // Counted a chunk at a time, so that a count of 32 bits cannot come round to zero.
        cl_uint count = 0;
        session.write(wrong, &count, sizeof count);
        session.set(check, 0, chunk.buffer);
        session.set(check, 1, chunk.base);
        session.set(check, 2, cl_ulong{seed});
        session.set(check, 3, wrong);
        session.run(check, chunk.bytes / word_bytes);
        session.read(wrong, &count, sizeof count);
        proof.written_bytes += chunk.bytes;
        proof.kept_bytes += chunk.bytes - std::min(chunk.bytes, std::int64_t{count} * word_bytes);
        progress();
    }
    return proof;
}

Measurement measure_device(const OpenclApi& api, cl_device_id device, std::int64_t bytes_max,
                           const OnProgress& progress) {
    Measurement found;
    found.target_bytes = bytes_max;
    {
        OpenclSession session(api, device);
        found.memory =
            prove_memory(session, bytes_max, buffer_bytes_max(api, device), fresh_seed(), progress);
    }
    OpenclSession session(api, device);
    const std::int64_t bytes = std::max(
        smallest_chunk_bytes, std::min({copy_bytes_max, bytes_max / 2, buffer_bytes_max(api, device)}) /
                                  smallest_chunk_bytes * smallest_chunk_bytes);
    measure_transfers(session, bytes, progress, found);
    found.bandwidth_bytes_per_s = measure_bandwidth(session, bytes, progress);
    found.fp32_flops = measure_flops(session, "multiply", progress);
    if (has_half(api, device)) found.fp16_flops = measure_flops(session, "multiply_half", progress);
    return found;
}

}  // namespace fallow::agent
