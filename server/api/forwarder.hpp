// Takes requests that only the market's leader can answer to it, and brings its replies back. Each thread
// has one connection to the leader. While nobody leads, a request waits a moment; when this server has
// become the leader meanwhile, it is carried out here.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "api/route.hpp"
#include "auth/authority.hpp"
#include "engine/engine.hpp"
#include "engine/follower.hpp"
#include "http/peer_client.hpp"
#include "ops/log.hpp"

namespace fallow::api {

struct ForwarderSettings {
    std::int64_t threads = 32;
    std::int64_t wait_ms = 2000;    ///< for a leader, while there is none
    std::int64_t reply_ms = 30000;  ///< for the leader's reply
    std::size_t queue_max = 4096;
};

class Forwarder {
  public:
    using RunHere = std::function<void(const ExchangePtr&)>;

    Forwarder(ForwarderSettings settings, const engine::Engine& engine, const engine::Follower& follower,
              const auth::CertificateAuthority& authority, ops::Log& log, std::function<Time()> now);
    ~Forwarder();
    Forwarder(const Forwarder&) = delete;
    Forwarder& operator=(const Forwarder&) = delete;

    /// Ends the exchange from a thread of its own, or calls `run_here` there.
    void forward(const ExchangePtr& exchange, RunHere run_here);
    /// Refuses what waits. Idempotent.
    void stop();

  private:
    struct Task {
        ExchangePtr exchange;
        RunHere run_here;
    };
    /// A thread's connection to the leader.
    struct Link;
    enum class Came { answered, not_done, unknown };

    void run();
    void deal(const Task& task, Link& link);
    Came ask(const Task& task, const engine::KnownLeader& leader, Link& link);
    [[nodiscard]] bool is_stopping() const;
    bool pause();

    const ForwarderSettings settings_;
    const engine::Engine& engine_;
    const engine::Follower& follower_;
    const auth::CertificateAuthority& authority_;
    ops::Log& log_;
    const std::function<Time()> now_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::condition_variable stopped_;
    std::deque<Task> queue_;
    bool is_stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace fallow::api
