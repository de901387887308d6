#include "api/housekeeping.hpp"

#include <chrono>

#include "api/bootstrap.hpp"
#include "api/sealed_secret.hpp"
#include "base/limits.hpp"
#include "store/maintenance.hpp"
#include "store/prices.hpp"
#include "store/secrets.hpp"

namespace fallow::api {
namespace {

constexpr std::chrono::seconds round{1};
constexpr Millis between_tidying = minutes(1);
constexpr Millis between_roll_ups = seconds(5);
constexpr Millis between_maintenance = hours(1);
constexpr std::int32_t rows_per_step = 500;
constexpr int steps_per_round = 100;
constexpr std::int32_t secrets_per_step = 100;

}  // namespace

Housekeeping::Housekeeping(store::ConnectionSettings settings, std::string market, KeyFilter& filter,
                           const engine::Engine& engine, const auth::Vault& vault, ops::Log& log,
                           std::function<Time()> now)
    : settings_(std::move(settings)),
      market_(std::move(market)),
      filter_(filter),
      engine_(engine),
      vault_(vault),
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

/// Brings secrets that were sealed under an older key under the one that this server was started with.
void Housekeeping::rewrap_secrets(store::Connection& connection) {
    const auto rewrap = [this](const accounts::Secret& secret, const accounts::SealedSecret& stored) {
        const auto fresh = vault_.rewrap(sealed_of(stored), accounts::binding_of(secret));
        return fresh ? std::optional(stored_of(*fresh)) : std::nullopt;
    };
    const auto done = store::run_as(connection, store::Actor::engine(), [&](store::Transaction& tx) {
        return store::rewrap_secrets(tx, vault_.current_key(), secrets_per_step, rewrap);
    });
    if (done.rewrapped > 0) log_.info("secrets sealed under the newer key", {{"secrets", done.rewrapped}});
    if (done.unopened > 0)
        log_.error("secrets that their key does not open; have them set anew",
                   {{"secrets", done.unopened}});
}

void Housekeeping::tidy(store::Connection& connection) {
    const Time now = now_();
    if (now - tidied_at_ < between_tidying) return;
    tidied_at_ = now;
    for (int step = 0; step < steps_per_round; ++step)
        if (store::expire(connection, now, rows_per_step) == 0) break;
    rewrap_secrets(connection);
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
