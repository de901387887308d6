#include "engine/follower_thread.hpp"

namespace fallow::engine {
namespace {

/// A leader only wants to hear of what other servers did besides the market.
constexpr std::chrono::milliseconds between_looks_of_leader{250};
constexpr std::chrono::milliseconds after_failure{200};

}  // namespace

FollowerThread::FollowerThread(Follower& follower, Span between_looks,
                               std::function<void(const Looked&)> on_look,
                               std::function<void(const std::string&, const std::string&)> log)
    : follower_(follower),
      between_looks_(between_looks),
      on_look_(std::move(on_look)),
      log_(std::move(log)),
      thread_([this] { run(); }) {}

FollowerThread::~FollowerThread() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void FollowerThread::run() {
    Span next{};
    while (wait(next))
        next = look();
}

FollowerThread::Span FollowerThread::look() {
    try {
        if (is_failing_) follower_.reconnect();
        const Looked looked = follower_.look();
        is_failing_ = false;
        on_look_(looked);
        if (looked.has_more) return Span{};
        return looked.is_own ? between_looks_of_leader : between_looks_;
    } catch (const std::exception& error) {
        if (!is_failing_) log_("error", std::string("the leader row cannot be read: ") + error.what());
        is_failing_ = true;
        return after_failure;
    }
}

bool FollowerThread::wait(Span span) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, span, [this] { return is_stopping_; });
}

}  // namespace fallow::engine
