#include "agent/device_memory.hpp"

#include <algorithm>
#include <random>

namespace fallow::agent {
namespace {

constexpr std::int64_t word_bytes = 8;
static_assert(smallest_chunk_bytes / word_bytes % items_step == 0);

std::int64_t whole_chunks(std::int64_t bytes) {
    return bytes / smallest_chunk_bytes * smallest_chunk_bytes;
}

}  // namespace

FilledMemory::FilledMemory(ComputeDevice& device, std::int64_t bytes_max, std::int64_t buffer_bytes_max,
                           std::uint64_t seed, const OnStep& progress)
    : device_(device), seed_(seed), wrong_(device.buffer(smallest_chunk_bytes)) {
    try {
        make_ready();
        fill(bytes_max, buffer_bytes_max, progress);
    } catch (...) {
        release();
        throw;
    }
}

FilledMemory::~FilledMemory() {
    release();
}

/// A driver that loads a kernel, or makes room for copies, when they are first needed cannot do so any more
/// when the memory is full.
void FilledMemory::make_ready() {
    device_.run("wipe", {wrong_}, smallest_chunk_bytes / word_bytes);
    static_cast<void>(count_wrong({wrong_, items_step * word_bytes, 0}));
}

void FilledMemory::fill(std::int64_t bytes_max, std::int64_t buffer_bytes_max, const OnStep& progress) {
    std::int64_t total = 0;
    std::int64_t next = buffer_bytes_max;
    while (total < bytes_max && next >= smallest_chunk_bytes) {
        next = std::min(next, whole_chunks(bytes_max - total));
        if (next == 0) break;
        if (add(next, total)) {
            total += next;
        } else {
            next = whole_chunks(next / 2);
        }
        progress();
    }
}

/// Each chunk is touched at once: some drivers promise more than they have.
bool FilledMemory::add(std::int64_t bytes, std::int64_t start) {
    const DeviceBuffer buffer = device_.try_buffer(bytes);
    if (buffer == DeviceBuffer{}) return false;
    const auto base = static_cast<std::uint64_t>(start / word_bytes);
    if (!device_.try_run("fill", {buffer, base, seed_}, bytes / word_bytes)) {
        device_.release(buffer);
        return false;
    }
    chunks_.push_back({buffer, bytes, base});
    return true;
}

void FilledMemory::release() {
    for (const Chunk& chunk : chunks_)
        device_.release(chunk.buffer);
    device_.release(wrong_);
}

/// A chunk at a time, so that a count of 32 bits cannot come round to zero.
std::int64_t FilledMemory::count_wrong(const Chunk& chunk) {
    std::uint32_t count = 0;
    device_.write(wrong_, &count, sizeof count);
    device_.run("check", {chunk.buffer, chunk.base, seed_, wrong_}, chunk.bytes / word_bytes);
    device_.read(wrong_, &count, sizeof count);
    return count;
}

MemoryProof FilledMemory::check(const OnStep& progress) {
    MemoryProof proof;
    for (const Chunk& chunk : chunks_) {
        const std::int64_t wrong_bytes = count_wrong(chunk) * word_bytes;
        proof.written_bytes += chunk.bytes;
        proof.kept_bytes += chunk.bytes - std::min(chunk.bytes, wrong_bytes);
        progress();
    }
    return proof;
}

void FilledMemory::wipe(const OnStep& progress) {
    for (const Chunk& chunk : chunks_) {
        device_.run("wipe", {chunk.buffer}, chunk.bytes / word_bytes);
        progress();
    }
    device_.run("wipe", {wrong_}, smallest_chunk_bytes / word_bytes);
}

std::uint64_t fresh_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

}  // namespace fallow::agent
