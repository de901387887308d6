#include "agent/device_measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

namespace fallow::agent {
namespace {

constexpr std::int64_t transfer_bytes_max = 64LL << 20;
constexpr std::int64_t copy_bytes_min = 64LL << 20;
constexpr std::int64_t copy_bytes_max = 1LL << 30;
constexpr std::int64_t copy_item_bytes = 16;
constexpr std::int64_t multiply_items_min = 1 << 17;  // whose results the smallest chunk has room for
constexpr std::int64_t multiply_items_max = 1 << 22;
constexpr std::uint32_t multiply_rounds = 256;
constexpr std::int64_t flops_per_round = 64;  // thirty-two multiply-adds
constexpr int repetitions = 5;
/// A run that lasts this long fills the largest card, outgrows its cache, and hides what its start costs.
constexpr double seconds_enough = 1e-3;

static_assert(multiply_items_min % items_step == 0);
static_assert(smallest_chunk_bytes / copy_item_bytes % items_step == 0);

template <class Work>
double seconds_of(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return std::max(took.count(), 1e-9);
}

/// The best of several runs: the others were disturbed.
template <class Work>
double best_seconds(const Work& work, const OnStep& progress) {
    work();
    double best = 1e30;
    for (int i = 0; i < repetitions; ++i) {
        best = std::min(best, seconds_of(work));
        progress();
    }
    return best;
}

/// `amount`, doubled up to `most` until the work with so much of it lasts long enough.
template <class Work>
std::int64_t enough(std::int64_t amount, std::int64_t most, const Work& work, const OnStep& progress) {
    work(amount);  // the first run of a kernel loads it
    while (amount < most && seconds_of([&] { work(amount); }) < seconds_enough) {
        amount = std::min(most, amount * 2);
        progress();
    }
    return amount;
}

std::int64_t rate(double amount, double seconds) {
    return static_cast<std::int64_t>(amount / seconds);
}

/// As much as is wanted of a device on which several such buffers have room.
std::int64_t bytes_of(const ComputeDevice& device, std::int64_t wanted, std::int64_t memory_bytes) {
    const std::int64_t most = std::min({wanted, memory_bytes / 4, device.buffer_bytes_max()});
    return std::max(smallest_chunk_bytes, most / smallest_chunk_bytes * smallest_chunk_bytes);
}

void measure_transfers(ComputeDevice& device, std::int64_t bytes, const OnStep& progress,
                       Measurement& found) {
    const DeviceBuffer there = device.buffer(bytes);
    void* const here = device.pin(bytes);
    std::memset(here, 0x5a, static_cast<std::size_t>(bytes));
    const double to = best_seconds([&] { device.write(there, here, bytes); }, progress);
    const double from = best_seconds([&] { device.read(there, here, bytes); }, progress);
    device.unpin(here);
    device.release(there);
    found.to_device_bytes_per_s = rate(static_cast<double>(bytes), to);
    found.from_device_bytes_per_s = rate(static_cast<double>(bytes), from);
}

std::int64_t measure_bandwidth(ComputeDevice& device, std::int64_t memory_bytes, const OnStep& progress) {
    const std::int64_t most = bytes_of(device, copy_bytes_max, memory_bytes);
    const DeviceBuffer from = device.buffer(most);
    const DeviceBuffer to = device.buffer(most);
    const auto copy = [&](std::int64_t bytes) { device.run("copy", {from, to}, bytes / copy_item_bytes); };
    const std::int64_t bytes = enough(std::min(copy_bytes_min, most), most, copy, progress);
    const double seconds = best_seconds([&] { copy(bytes); }, progress);
    device.release(from);
    device.release(to);
    return rate(2.0 * static_cast<double>(bytes), seconds);
}

std::int64_t measure_flops(ComputeDevice& device, const std::string& kernel, std::int64_t memory_bytes,
                           const OnStep& progress) {
    constexpr std::int64_t result_bytes = sizeof(float);
    const std::int64_t bytes = bytes_of(device, multiply_items_max * result_bytes, memory_bytes);
    const DeviceBuffer results = device.buffer(bytes);
    const KernelArguments arguments{results, 0.5F, 0.999F, multiply_rounds};
    const auto multiply = [&](std::int64_t items) { device.run(kernel, arguments, items); };
    const std::int64_t items = enough(multiply_items_min, bytes / result_bytes, multiply, progress);
    const double flops = static_cast<double>(items * flops_per_round) * multiply_rounds;
    const std::int64_t found = rate(flops, best_seconds([&] { multiply(items); }, progress));
    device.release(results);
    return found;
}

}  // namespace

MemoryProof prove_memory(ComputeDevice& device, std::int64_t bytes_max, std::int64_t buffer_bytes_max,
                         std::uint64_t seed, const OnStep& progress) {
    return FilledMemory(device, bytes_max, buffer_bytes_max, seed, progress).check(progress);
}

Measurement measure_device(const FoundDevice& found, const OnStep& progress) {
    Measurement measured;
    measured.driver = found.driver;
    measured.target_bytes = found.memory_bytes;
    {
        const auto device = found.open();
        measured.memory =
            prove_memory(*device, found.memory_bytes, device->buffer_bytes_max(), fresh_seed(), progress);
    }
    // In a session of its own: whatever the proof has left in the first is given back with it.
    const auto device = found.open();
    measure_transfers(*device, bytes_of(*device, transfer_bytes_max, found.memory_bytes), progress,
                      measured);
    measured.bandwidth_bytes_per_s = measure_bandwidth(*device, found.memory_bytes, progress);
    measured.fp32_flops = measure_flops(*device, "multiply", found.memory_bytes, progress);
    if (device->has_half())
        measured.fp16_flops = measure_flops(*device, "multiply_half", found.memory_bytes, progress);
    return measured;
}

}  // namespace fallow::agent
