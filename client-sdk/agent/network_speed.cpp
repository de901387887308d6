#include "agent/network_speed.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/server_link.hpp"
#include "agent/state.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t first_bytes = 256LL << 10;
constexpr std::int64_t most_bytes = 16LL << 20;  ///< that the server moves at once
constexpr std::int64_t growth = 4;
constexpr std::int64_t long_enough_us = 500'000;
constexpr int takes = 2;  ///< transfers that tell, of which the better one counts
constexpr std::int64_t way_ms_max = 20'000;

constexpr std::int64_t minute_ms = 60 * 1000;
constexpr std::int64_t hour_ms = 60 * minute_ms;
constexpr std::int64_t every_ms = 24 * hour_ms;
constexpr std::int64_t leased_again_ms = 10 * minute_ms;

std::int64_t rate(const Moved& moved) {
    return static_cast<std::int64_t>(static_cast<double>(moved.bytes) * 1e6 /
                                     static_cast<double>(std::max<std::int64_t>(1, moved.us)));
}

template <class Move>
std::optional<std::int64_t> measure_way(const Move& move, const NetworkClock& clock,
                                        const std::stop_token& stop) {
    const std::int64_t until_ms = clock.boot_ms() + way_ms_max;
    std::int64_t bytes = first_bytes;
    std::int64_t best = 0;
    for (int taken = 0; taken < takes;) {
        const Moved moved = move(bytes);
        if (stop.stop_requested()) return std::nullopt;
        const bool is_late = clock.boot_ms() >= until_ms;
        if (moved.us >= long_enough_us || bytes == most_bytes || is_late) {
            best = std::max(best, rate(moved));
            ++taken;
        } else {
            bytes = std::min(bytes * growth, most_bytes);
        }
        if (is_late) break;
    }
    return best;
}

std::filesystem::path file_in(const std::filesystem::path& folder) {
    return folder / "network.json";
}

}  // namespace

NetworkClock real_network_clock() {
    return {.boot_ms = boot_clock_ms, .unix_ms = wall_clock_ms, .random = [](std::int64_t most) {
                thread_local std::mt19937_64 own(std::random_device{}());
                return std::uniform_int_distribution<std::int64_t>(0, most)(own);
            }};
}

std::optional<NetworkSpeed> measure_network(NetworkPath& path, const NetworkClock& clock,
                                            std::stop_token stop) {
    const auto down =
        measure_way([&](std::int64_t bytes) { return path.download(bytes, stop); }, clock, stop);
    if (!down) return std::nullopt;
    const auto up = measure_way([&](std::int64_t bytes) { return path.upload(bytes, stop); }, clock, stop);
    if (!up) return std::nullopt;
    return NetworkSpeed{*up, *down, clock.unix_ms()};
}

std::optional<NetworkSpeed> kept_network_speed(const std::filesystem::path& folder) {
    try {
        if (!std::filesystem::exists(file_in(folder))) return std::nullopt;
        const auto object = nlohmann::json::parse(read_file(file_in(folder)));
        return NetworkSpeed{object.at("up_bytes_per_s").get<std::int64_t>(),
                            object.at("down_bytes_per_s").get<std::int64_t>(),
                            object.at("measured_unix_ms").get<std::int64_t>()};
    } catch (const std::exception& error) {
        spdlog::warn("the network is measured anew: {}", error.what());
        return std::nullopt;
    }
}

NetworkKeeper::NetworkKeeper(std::filesystem::path folder, std::int64_t spread_ms, NetworkClock clock)
    : folder_(std::move(folder)), clock_(std::move(clock)) {
    const auto last = kept_network_speed(folder_);
    const std::int64_t age_ms = last ? clock_.unix_ms() - last->measured_unix_ms : every_ms;
    const bool is_fresh = age_ms >= 0 && age_ms < every_ms;
    due_boot_ms_ = clock_.boot_ms() + (is_fresh ? every_ms - age_ms : clock_.random(spread_ms));
}

std::int64_t NetworkKeeper::due_in_ms() const {
    return std::max<std::int64_t>(0, due_boot_ms_ - clock_.boot_ms());
}

std::stop_token NetworkKeeper::begin() {
    const std::lock_guard lock(mutex_);
    stop_measuring_ = std::stop_source();
    return stop_measuring_.get_token();
}

/// Up to twice as long, so that hosts that were put off together do not come back together.
void NetworkKeeper::put_off(std::int64_t ms) {
    due_boot_ms_ = clock_.boot_ms() + ms + clock_.random(ms);
}

void NetworkKeeper::put_off_for_lease() {
    put_off(leased_again_ms);
}

bool NetworkKeeper::measure(NetworkPath& path, std::stop_token measuring, std::stop_token stop) {
    std::stop_source either;
    const std::stop_callback on_lease(measuring, [&] { either.request_stop(); });
    const std::stop_callback on_stop(stop, [&] { either.request_stop(); });
    try {
        const auto speed = measure_network(path, clock_, either.get_token());
        if (!speed) {
            put_off_for_lease();
            return false;
        }
        const nlohmann::json object{{"up_bytes_per_s", speed->up_bytes_per_s},
                                    {"down_bytes_per_s", speed->down_bytes_per_s},
                                    {"measured_unix_ms", speed->measured_unix_ms}};
        write_file_atomically(file_in(folder_), object.dump());
        refusals_ = 0;
        due_boot_ms_ = clock_.boot_ms() + every_ms;
        return true;
    } catch (const ServerError& error) {
        const std::int64_t again_ms = std::min(minute_ms << std::min(refusals_++, 6), hour_ms);
        put_off(error.is_final() ? every_ms : std::max(error.retry_after_ms(), again_ms));
        spdlog::info("the network is measured later: {}", error.what());
    } catch (const std::exception& error) {
        // Of a lease that has begun nothing is to be said.
        const bool has_yielded = either.stop_requested();
        put_off(has_yielded ? leased_again_ms : hour_ms);
        if (!has_yielded) spdlog::warn("the network was not measured: {}", error.what());
    }
    return false;
}

void NetworkKeeper::yield() {
    const std::lock_guard lock(mutex_);
    stop_measuring_.request_stop();
}

}  // namespace fallow::agent
