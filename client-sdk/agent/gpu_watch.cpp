#include "agent/gpu_watch.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t undrained_max = 120;
constexpr std::size_t line_bytes_max = 1 << 20;

}  // namespace

GpuWatch::GpuWatch(GpuWatchOptions options)
    : options_(std::move(options)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

GpuWatch::~GpuWatch() {
    want(false);
    thread_.request_stop();
    thread_.join();
}

void GpuWatch::want(bool is_wanted) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_wanted_, is_wanted) == is_wanted) return;
    if (!is_wanted) child_stop_.request_stop();
    changed_.notify_all();
}

std::vector<GpuReading> GpuWatch::latest() const {
    const std::lock_guard lock(mutex_);
    if (boot_clock_ms() - latest_boot_ms_ > options_.stale_ms) return {};
    return latest_;
}

std::vector<std::vector<GpuReading>> GpuWatch::drain() {
    const std::lock_guard lock(mutex_);
    return std::exchange(undrained_, {});
}

void GpuWatch::take(std::string_view line) {
    auto readings = parse_readings(line);
    if (!readings) return;
    const std::lock_guard lock(mutex_);
    latest_ = *readings;
    latest_boot_ms_ = boot_clock_ms();
    if (undrained_.size() == undrained_max) undrained_.erase(undrained_.begin());
    undrained_.push_back(std::move(*readings));
}

void GpuWatch::watch(const std::stop_token& stop) {
    if (stuck_ && !is_gone(*stuck_))
        throw std::runtime_error("the driver does not let go of process " + std::to_string(*stuck_));
    stuck_.reset();
    std::string rest;
    const WatchedProcess process =
        run_watched({options_.program, "probe", "watch", "--nvml-library", options_.nvml_library,
                     "--period-ms", std::to_string(options_.period_ms)},
                    options_.limits, stop, [&](std::string_view piece) {
                        rest.append(piece);
                        for (auto end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
                            take(std::string_view(rest).substr(0, end));
                            rest.erase(0, end + 1);
                        }
                        if (rest.size() > line_bytes_max) rest.clear();
                    });
    stuck_ = process.stuck;
    const bool has_its_time = process.end == ProcessEnd::stopped || process.end == ProcessEnd::too_long;
    if (!has_its_time) throw std::runtime_error("what reads them " + describe(process, options_.limits));
}

void GpuWatch::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::stop_token child_stop;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, stop, [this] { return is_wanted_; });
            if (stop.stop_requested()) return;
            child_stop_ = std::stop_source();
            child_stop = child_stop_.get_token();
        }
        try {
            watch(child_stop);
        } catch (const std::exception& error) {
            spdlog::warn("NVIDIA cards are not measured: {}", error.what());
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, stop, std::chrono::milliseconds(options_.retry_ms),
                              [this] { return !is_wanted_; });
        }
    }
}

}  // namespace fallow::agent
