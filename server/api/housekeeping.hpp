// What is done on a timer: partitions ahead and behind, rows past their retention, the candles of prices,
// secrets under an older key, and the filter of used keys, which is filled anew after each change of
// leadership and forgets what has passed its retention.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "api/key_filter.hpp"
#include "auth/vault.hpp"
#include "base/time.hpp"
#include "engine/engine.hpp"
#include "ops/log.hpp"
#include "store/connection.hpp"

namespace fallow::api {

class Housekeeping {
  public:
    Housekeeping(store::ConnectionSettings settings, std::string market, KeyFilter& filter,
                 const engine::Engine& engine, const auth::Vault& vault, ops::Log& log,
                 std::function<Time()> now);
    ~Housekeeping();
    Housekeeping(const Housekeeping&) = delete;
    Housekeeping& operator=(const Housekeeping&) = delete;

  private:
    void run();
    void fill_filter(store::Connection& connection);
    void tidy(store::Connection& connection);
    void roll_up(store::Connection& connection);
    void rewrap_secrets(store::Connection& connection);
    bool wait_for_next();

    const store::ConnectionSettings settings_;
    const std::string market_;
    KeyFilter& filter_;
    const engine::Engine& engine_;
    const auth::Vault& vault_;
    ops::Log& log_;
    const std::function<Time()> now_;
    Time tidied_at_;
    Time maintained_at_;
    Time rotated_at_;
    Time rolled_up_at_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool is_stopping_ = false;
    std::thread thread_;
};

}  // namespace fallow::api
