// An engine under test: a clock that the test moves, ids in a known order, callers that note what they are
// told.
#pragma once

#include <atomic>
#include <future>
#include <memory>

#include "engine/engine.hpp"
#include "engine/hub.hpp"
#include "support/market_world.hpp"

namespace fallow::testing {

struct Answer {
    std::int32_t status = 0;
    std::string body;
    bool replayed = false;
    friend bool operator==(const Answer&, const Answer&) = default;
};

/// One caller: whether its command was decided, and what it was told.
class Call {
  public:
    [[nodiscard]] bool is_answered() const {
        return answer_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }
    /// Waits; a test that would wait for ever fails.
    Answer answer() {
        REQUIRE(answer_.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
        return answer_.get();
    }
    void wait_decided() {
        REQUIRE(decided_.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
    }

  private:
    friend class EngineUnderTest;
    std::shared_future<Answer> answer_;
    std::shared_future<void> decided_;
};

inline std::int32_t status_of(ErrorCode code) {
    switch (kind_of(code)) {
        case ErrorKind::internal:
            return 500;
        case ErrorKind::unavailable:
            return 503;
        case ErrorKind::not_found:
            return 404;
        case ErrorKind::unprocessable:
            return 422;
        default:
            return 409;
    }
}

class EngineUnderTest {
  public:
    EngineUnderTest() {
        config.holder = "this";
        config.beat = Millis(5);
        config.stale_after = Millis(50);
        config.confirmed_within = hours(1);
    }

    void start(engine::MarketStore& store, engine::MarketStore& beat_store) {
        engine::EngineDeps deps{store, beat_store, {}, {}, {}, {}, "server-key", {}, {}};
        deps.publish = [this](const std::string& topic) { hub.publish(topic); };
        deps.now = [this] { return Time(now_.load()); };
        deps.random = random_;
        deps.on_quarantined = [this] {
            if (on_quarantined) on_quarantined();
        };
        deps.sign = [](const std::string& bytes) { return "signed " + std::to_string(bytes.size()); };
        deps.log = [this](const std::string& level, const std::string& message) {
            const std::lock_guard lock(mutex_);
            log_ += level + ": " + message + '\n';
        };
        engine_ = std::make_unique<engine::Engine>(config, std::move(deps));
        engine_->start();
    }
    void stop() { engine_.reset(); }
    [[nodiscard]] engine::Engine& engine() { return *engine_; }

    /// Where the seeds of commands come from.
    void set_random(std::function<RawId()> random) { random_ = std::move(random); }
    void pass(Millis span) { now_ += span.count; }
    [[nodiscard]] Time now() const { return Time(now_); }

    static market::Command new_organization(const std::string& name) {
        return market::CreateOrganization{name, "DE"};
    }

    /// `key` and `body` make the submission idempotent.
    Call submit(const market::Command& command, const market::Caller& caller = World::admin(),
                const std::string& key = {}, const std::string& body = "body") {
        Call call;
        const Status queued = try_submit(command, caller, key, body, call);
        if (!queued) FAIL("not queued: " << queued.error().detail);
        return call;
    }
    Status try_submit(const market::Command& command, const market::Caller& caller, const std::string& key,
                      const std::string& body, Call& call) {
        const auto answer = std::make_shared<std::promise<Answer>>();
        const auto decided = std::make_shared<std::promise<void>>();
        const auto is_decided = std::make_shared<std::once_flag>();
        call.answer_ = answer->get_future().share();
        call.decided_ = decided->get_future().share();
        engine::Submission submission;
        submission.command = command;
        submission.caller = caller;
        if (!key.empty())
            submission.idempotency =
                engine::IdempotencyKey{caller.organization, "POST /v1/things", key, body};
        submission.encode = [decided, is_decided](const Result<market::Outcome>& outcome) {
            std::call_once(*is_decided, [&] { decided->set_value(); });
            return encoded(outcome);
        };
        submission.done = [this, answer](engine::Reply reply, bool replayed) {
            if (on_done) on_done(reply);
            {
                const std::lock_guard lock(mutex_);
                order_ += reply.body + '\n';
            }
            answer->set_value(Answer{reply.status, std::move(reply.body), replayed});
        };
        return engine_->submit(std::move(submission));
    }
    /// The bodies of all answers, in the order in which they were given.
    [[nodiscard]] std::string order() const {
        const std::lock_guard lock(mutex_);
        return order_;
    }
    [[nodiscard]] std::string log() const {
        const std::lock_guard lock(mutex_);
        return log_;
    }
    engine::Hub hub;
    engine::EngineConfig config;
    std::function<void(const engine::Reply&)> on_done;
    std::function<void()> on_quarantined;

  private:
    /// A body that names what was made, so that an order of answers can be read.
    static engine::Reply encoded(const Result<market::Outcome>& outcome) {
        if (!outcome) {
            const ErrorCode code = outcome.error().code;
            return {status_of(code), std::string(name_of(code))};
        }
        if (const auto* organization = std::get_if<market::Organization>(&*outcome))
            return {201, organization->name + ' ' + organization->id.text()};
        return {200, "ok " + std::to_string(outcome->index())};
    }

    std::atomic<std::int64_t> now_{1'800'000'000'000};
    std::atomic<std::uint64_t> ids_{0};
    std::function<RawId()> random_ = [this] { return RawId{0xfa11, ++ids_}; };
    mutable std::mutex mutex_;
    std::string order_;
    std::string log_;
    std::unique_ptr<engine::Engine> engine_;
};

}  // namespace fallow::testing
