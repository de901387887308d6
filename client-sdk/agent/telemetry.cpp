#include "agent/telemetry.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <utility>

#include "agent/clock.hpp"
#include "agent/server_link.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t measure_every_ms = 2000;
constexpr std::int64_t look_again_ms = 30'000;
constexpr std::int64_t send_again_ms = 10'000;
constexpr std::int64_t thousandths_per_percent = 10;
constexpr const char* source_of_gpu = "nvml";
constexpr const char* source_of_guest = "cgroup";

std::string hostname() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
    return name.data();
}

bool is_nvml(const LeaseCard& card) {
    return card.backend == source_of_gpu;
}

/// How many of the leases have a part of the card.
std::int64_t leases_on(const std::vector<MeasuredLease>& leases, const std::string& uuid) {
    return std::ranges::count_if(leases, [&](const MeasuredLease& lease) {
        return std::ranges::any_of(lease.cards, [&](const LeaseCard& card) { return card.uuid == uuid; });
    });
}

UseSample sample_of(const GpuReading& reading) {
    UseSample sample;
    if (const auto percent = reading.value(dcgm::gpu_util))
        sample.utilization_thousandths =
            std::clamp<std::int64_t>(*percent * thousandths_per_percent, 0, 1000);
    sample.memory_used_bytes = reading.value(dcgm::fb_used);
    sample.power_milliwatts = reading.value(dcgm::power);
    sample.temperature_celsius = reading.value(dcgm::gpu_temp);
    return sample;
}

}  // namespace

Telemetry::Telemetry(TelemetryParts parts) : parts_(std::move(parts)), watch_(parts_.gpus) {
    if (!parts_.metrics_address.empty()) {
        listener_ = std::make_unique<MetricsListener>(parts_.metrics_address, [this] { return page(); });
        spdlog::info("metrics are on port {} of this host's loopback", listener_->port());
    }
    measuring_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    sending_ = std::jthread([this](const std::stop_token& stop) { send(stop); });
}

Telemetry::~Telemetry() {
    measuring_.request_stop();
    sending_.request_stop();
    measuring_.join();
    sending_.join();
    listener_.reset();
}

void Telemetry::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        try {
            measure();
        } catch (const std::exception& error) {
            spdlog::warn("the leases were not measured: {}", error.what());
        }
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, stop, std::chrono::milliseconds(measure_every_ms), [] { return false; });
    }
}

void Telemetry::measure() {
    const std::vector<MeasuredLease> leases = parts_.leases();
    const std::vector<CardFacts> cards = parts_.cards();
    const bool is_gpu_leased = std::ranges::any_of(
        leases, [](const MeasuredLease& lease) { return std::ranges::any_of(lease.cards, is_nvml); });
    const bool is_gpu_shown = listener_ != nullptr && std::ranges::any_of(cards, [](const CardFacts& card) {
                                  return card.backend == source_of_gpu;
                              });
    watch_.want(is_gpu_leased || is_gpu_shown);
    const std::int64_t now = parts_.server_unix_ms();
    std::set<std::string> running;
    for (const MeasuredLease& lease : leases)
        running.insert(lease.lease_id);
    std::erase_if(guests_, [&](const auto& guest) { return !running.contains(guest.first); });
    measure_gpus(leases, now);
    std::vector<GuestOnProcessor> shown;
    for (const MeasuredLease& lease : leases)
        for (const LeaseCard& card : lease.cards) {
            if (card.device_class != "cpu") continue;
            measure_guest(lease, card, now);
            const Guest& guest = guests_[lease.lease_id];
            if (!guest.last) continue;
            const auto facts = std::ranges::find(cards, card.uuid, &CardFacts::uuid);
            shown.push_back({card.index, card.uuid, facts == cards.end() ? "" : facts->product,
                             lease.lease_id, lease.job_id, *guest.last, guest.cpu_millis,
                             guest.memory_bytes});
        }
    const std::lock_guard lock(mutex_);
    leases_ = leases;
    guests_shown_ = std::move(shown);
    series_.close(now, running);
    if (series_.waiting() > 0) changed_.notify_all();
}

void Telemetry::measure_gpus(const std::vector<MeasuredLease>& leases, std::int64_t now_unix_ms) {
    const auto readings = watch_.drain();
    const std::lock_guard lock(mutex_);
    for (const MeasuredLease& lease : leases) {
        // What was read since the round before is only then all its own when it ran at that one already.
        const bool ran_before =
            std::ranges::find(leases_, lease.lease_id, &MeasuredLease::lease_id) != leases_.end();
        for (const LeaseCard& card : lease.cards) {
            if (!is_nvml(card) || !ran_before) continue;
            UseOf of{lease.lease_id, card.card_id, source_of_gpu, leases_on(leases, card.uuid) > 1, {}, {}};
            for (const std::vector<GpuReading>& moment : readings) {
                const auto reading = std::ranges::find(moment, card.uuid, &GpuReading::uuid);
                if (reading == moment.end()) continue;
                of.memory_bytes = reading->value(dcgm::fb_total);
                series_.add(of, now_unix_ms, sample_of(*reading));
            }
        }
    }
}

void Telemetry::find_groups(Guest& guest, const std::string& container_id) {
    const std::int64_t now = boot_clock_ms();
    if (guest.groups || now < guest.look_again_boot_ms) return;
    guest.look_again_boot_ms = now + look_again_ms;
    guest.groups = container_groups_of(parts_.pid_of(container_id), container_id);
    if (!guest.groups)
        spdlog::info("container {} has no control groups that can be read: it is not measured",
                     container_id);
}

void Telemetry::measure_guest(const MeasuredLease& lease, const LeaseCard& card, std::int64_t now_unix_ms) {
    Guest& guest = guests_[lease.lease_id];
    // A lease that was told to stop may come without its job's specification.
    if (lease.cpu_millis > 0) guest.cpu_millis = std::min(lease.cpu_millis, parts_.processors * 1000);
    if (lease.memory_bytes > 0) guest.memory_bytes = lease.memory_bytes;
    find_groups(guest, lease.container_id);
    if (!guest.groups) return;
    const std::int64_t now = boot_clock_ms();
    const auto use = read_use(*guest.groups);
    const auto before = std::exchange(guest.last, use);
    const std::int64_t span_ms = now - std::exchange(guest.last_boot_ms, now);
    if (!use || !before || span_ms <= 0 || guest.cpu_millis == 0) return;
    UseOf of{lease.lease_id, card.card_id, source_of_guest, false, {}, guest.cpu_millis};
    if (guest.memory_bytes > 0) of.memory_bytes = guest.memory_bytes;
    UseSample sample;
    sample.utilization_thousandths =
        cpu_thousandths(use->cpu_ns - before->cpu_ns, span_ms, guest.cpu_millis);
    sample.memory_used_bytes = use->memory_used_bytes;
    const std::lock_guard lock(mutex_);
    series_.add(of, now_unix_ms, sample);
}

void Telemetry::send(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::vector<CardMinutes> batch;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, stop, [this] { return series_.waiting() > 0; });
            if (stop.stop_requested()) return;
            batch = series_.take(parts_.server_unix_ms());
            for (const CardMinutes& card : batch)
                being_sent_ += card.minutes.size();
        }
        if (batch.empty()) continue;
        const std::string lease_id = batch.front().of.lease_id;
        bool is_sent = false;
        bool is_refused = false;
        try {
            parts_.send(lease_id, batch, stop);
            is_sent = true;
        } catch (const ServerError& error) {
            is_refused = error.is_final();
            if (is_refused) spdlog::warn("what lease {} has used was refused: {}", lease_id, error.what());
        } catch (const std::exception& error) {
            spdlog::debug("what lease {} has used is sent later: {}", lease_id, error.what());
        }
        std::unique_lock lock(mutex_);
        being_sent_ = 0;
        if (is_refused) series_.give_up(batch);
        if (is_sent || is_refused) continue;
        series_.put_back(batch);
        changed_.wait_for(lock, stop, std::chrono::milliseconds(send_again_ms), [] { return false; });
    }
}

std::string Telemetry::page() {
    static const std::string name = hostname();
    MetricsMoment moment;
    moment.hostname = name;
    moment.gpus = watch_.latest();
    const std::lock_guard lock(mutex_);
    for (const MeasuredLease& lease : leases_)
        for (const LeaseCard& card : lease.cards)
            moment.leases.push_back({card.uuid, lease.lease_id, lease.job_id});
    moment.guests = guests_shown_;
    moment.minutes_waiting = static_cast<std::int64_t>(series_.waiting() + being_sent_);
    moment.minutes_dropped = series_.dropped();
    return metrics_page(moment);
}

}  // namespace fallow::agent
