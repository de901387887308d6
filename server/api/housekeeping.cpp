#include "api/housekeeping.hpp"

#include <chrono>

#include "api/bootstrap.hpp"
#include "base/limits.hpp"
#include "store/maintenance.hpp"
#include "store/prices.hpp"

namespace fallow::api {
namespace {

constexpr std::chrono::seconds round{1};
constexpr Millis between_tidying = minutes(1);
constexpr Millis between_roll_ups = seconds(5);
constexpr Millis between_maintenance = hours(1);
constexpr std::int32_t rows_per_step = 500;
constexpr int steps_per_round = 100;

}  // namespace

Housekeeping::Housekeeping(store::ConnectionSettings settings, std::string market, KeyFilter& filter,
                           const engine::Engine& engine, ops::Log& log, std::function<Time()> now)
    : settings_(std::move(settings)),
      market_(std::move(market)),
      filter_(filter),
      engine_(engine),
      log_(log),
      now_(std::move(now)),
      tidied_at_(now_()),
      maintained_at_(now_()),
      rotated_at_(now_()),
      thread_([this] { run(); }) {}

Housekeeping::~Housekeeping() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

bool Housekeeping::wait_for_next() {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, round, [this] { return is_stopping_; });
}

void Housekeeping::run() {
    std::unique_ptr<store::Connection> connection;
    while (wait_for_next()) {
        try {
            if (!connection) connection = std::make_unique<store::Connection>(settings_);
            if (connection->is_broken()) connection->reconnect();
            fill_filter(*connection);
            tidy(*connection);
            roll_up(*connection);
        } catch (const std::exception& error) {
            log_.warn("housekeeping failed and is tried again", {{"error", error.what()}});
        }
    }
}

void Housekeeping::fill_filter(store::Connection& connection) {
    const auto epoch = engine_.confirmed_epoch();
    if (!epoch || filter_.is_complete_for(*epoch)) return;
    load_key_filter(connection, filter_);
    filter_.complete_for(*epoch);
}

/// Tried every few seconds: soon after a minute is over one of the servers brings the candles up to it.
void Housekeeping::roll_up(store::Connection& connection) {
    const Time now = now_();
    if (now - rolled_up_at_ < between_roll_ups) return;
    rolled_up_at_ = now;
    for (int step = 0; step < steps_per_round; ++step)
        if (!store::roll_up_prices(connection, market_, now)) return;
}

void Housekeeping::tidy(store::Connection& connection) {
    const Time now = now_();
    if (now - tidied_at_ < between_tidying) return;
    tidied_at_ = now;
    for (int step = 0; step < steps_per_round; ++step)
        if (store::expire(connection, now, rows_per_step) == 0) break;
    if (now - maintained_at_ >= between_maintenance) {
        store::maintain(connection);
        maintained_at_ = now;
    }
    if (now - rotated_at_ >= Millis(limits::idempotency_retention_ms)) {
        filter_.rotate();
        rotated_at_ = now;
    }
}

}  // namespace fallow::api
