#include "api/forwarder.hpp"

#include <chrono>
#include <memory>
#include <utility>

#include "api/forwarded.hpp"
#include "api/gateway.hpp"
#include "base/assert.hpp"

namespace fallow::api {
namespace {

using Clock = std::chrono::steady_clock;

/// Between two looks for a leader.
constexpr std::chrono::milliseconds pause_for_leader{20};

/// A leader that had stepped down refused it: nothing was done. `draining` says as much of a request that
/// carries its key; without one the rare case that it does not know is left to the caller.
bool is_not_done(const http::Reply& reply, bool is_keyed) {
    if (reply.status != 503) return false;
    return reply.body.find(R"("code":"not_leader")") != std::string::npos ||
           (is_keyed && reply.body.find(R"("code":"draining")") != std::string::npos);
}

Error no_leader() {
    return refuse(ErrorCode::not_leader, "The market has no leader at the moment: try again in a second.");
}

}  // namespace

struct Forwarder::Link {
    std::unique_ptr<http::PeerClient> client;
    std::int64_t epoch = 0;
};

Forwarder::Forwarder(ForwarderSettings settings, const engine::Engine& engine,
                     const engine::Follower& follower, const auth::CertificateAuthority& authority,
                     ops::Log& log, std::function<Time()> now)
    : settings_(settings),
      engine_(engine),
      follower_(follower),
      authority_(authority),
      log_(log),
      now_(std::move(now)) {
    for (std::int64_t i = 0; i < settings_.threads; ++i)
        threads_.emplace_back([this] { run(); });
}

Forwarder::~Forwarder() {
    stop();
}

void Forwarder::forward(const ExchangePtr& exchange, RunHere run_here) {
    {
        const std::lock_guard lock(mutex_);
        if (!is_stopping_ && queue_.size() < settings_.queue_max) {
            queue_.push_back({exchange, std::move(run_here)});
            changed_.notify_one();
            return;
        }
    }
    finish(exchange,
           refuse(ErrorCode::queue_full, "Too many requests wait for the market's leader; try again."));
}

void Forwarder::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(is_stopping_, true)) return;
    }
    changed_.notify_all();
    stopped_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

bool Forwarder::is_stopping() const {
    const std::lock_guard lock(mutex_);
    return is_stopping_;
}

bool Forwarder::pause() {
    std::unique_lock lock(mutex_);
    return !stopped_.wait_for(lock, pause_for_leader, [this] { return is_stopping_; });
}

void Forwarder::run() {
    Link link;
    while (true) {
        Task task;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
            if (queue_.empty()) return;
            task = std::move(queue_.front());
            queue_.pop_front();
        }
        try {
            deal(task, link);
        } catch (const std::exception& error) {
            log_.error("a request was not forwarded", {{"error", error.what()}});
            finish(task.exchange, refuse(ErrorCode::internal, "The server failed to forward the request."));
        }
    }
}

void Forwarder::deal(const Task& task, Link& link) {
    const bool is_keyed = task.exchange->request.header("idempotency-key") != nullptr;
    const auto give_up_at = Clock::now() + std::chrono::milliseconds(settings_.wait_ms);
    while (true) {
        if (engine_.accepts()) return task.run_here(task.exchange);
        const auto leader = follower_.leader();
        if (leader && !leader->is_self && !leader->address.empty()) {
            const Came came = ask(task, *leader, link);
            if (came == Came::answered) return;
            if (came == Came::unknown && !is_keyed)
                return finish(
                    task.exchange,
                    refuse(ErrorCode::not_leader,
                           "The market's leader went away before it answered. Whether the request "
                           "took effect is not known: look before you repeat it."));
        }
        if (Clock::now() >= give_up_at || !pause()) return finish(task.exchange, no_leader());
    }
}

Forwarder::Came Forwarder::ask(const Task& task, const engine::KnownLeader& leader, Link& link) {
    http::Request request = task.exchange->request;
    mark_forwarded(request);
    const auto give_up_at = Clock::now() + std::chrono::milliseconds(settings_.reply_ms);
    // A leader that has been replaced will never answer, and one that hangs would hold the thread for good.
    const auto go_on = [&] {
        const auto now_leading = follower_.leader();
        const bool is_replaced = now_leading && now_leading->epoch != leader.epoch;
        return !is_replaced && !is_stopping() && Clock::now() < give_up_at;
    };
    try {
        if (link.epoch != leader.epoch || !link.client || !link.client->is_alive()) {
            link.client.reset();
            const Time now = now_();
            const auto own = authority_.replica_certificate(now);
            const http::PeerSettings peer{leader.address, authority_.certificate_pem(), own.chain_pem,
                                          own.private_key_pem, now.ms / 1000};
            link.client = std::make_unique<http::PeerClient>(peer, go_on);
            link.epoch = leader.epoch;
        }
        http::Reply reply = link.client->exchange(request, go_on);
        const bool is_keyed = request.header("idempotency-key") != nullptr;
        if (is_not_done(reply, is_keyed)) return Came::not_done;
        const auto respond = std::exchange(task.exchange->respond, nullptr);
        FALLOW_ASSERT(respond);
        respond(std::move(reply));
        return Came::answered;
    } catch (const http::PeerError& error) {
        link.client.reset();
        return error.may_have_acted() ? Came::unknown : Came::not_done;
    }
}

}  // namespace fallow::api
