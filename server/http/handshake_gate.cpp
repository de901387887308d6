#include "http/handshake_gate.hpp"

#include <cstdint>
#include <utility>

namespace fallow::http {
namespace {

/// For each that comes; with more than one they become fewer.
constexpr int dropped_at_once_max = 2;

}  // namespace

void HandshakeGate::enter(Begin begin, Gone gone) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({std::move(begin), std::move(gone)});
    }
    let_in();
    drop_gone();
}

/// The oldest are the last to be let in, and are connections of the server until then.
void HandshakeGate::drop_gone() {
    for (int i = 0; i < dropped_at_once_max; ++i) {
        Waiting oldest;
        {
            const std::lock_guard lock(mutex_);
            if (waiting_.empty()) return;
            const Gone& gone = waiting_.front().gone;
            if (!gone || !gone()) return;
            oldest = std::move(waiting_.front());
            waiting_.pop_front();
        }
        oldest.begin(nullptr);
    }
}

void HandshakeGate::open() {
    {
        const std::lock_guard lock(mutex_);
        under_way_max_ = SIZE_MAX;
    }
    let_in();
}

void HandshakeGate::leave() {
    {
        const std::lock_guard lock(mutex_);
        --under_way_;
    }
    let_in();
}

void HandshakeGate::let_in() {
    std::unique_lock lock(mutex_);
    if (std::exchange(is_letting_in_, true)) return;
    while (under_way_ < under_way_max_ && !waiting_.empty()) {
        const Begin begin = std::move(waiting_.back().begin);
        waiting_.pop_back();
        ++under_way_;
        lock.unlock();
        begin(Place(this, [this](void*) { leave(); }));
        lock.lock();
    }
    is_letting_in_ = false;
}

}  // namespace fallow::http
