#include "http/handshake_gate.hpp"

#include <cstdint>
#include <utility>

namespace fallow::http {

void HandshakeGate::enter(Begin begin) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(begin));
    }
    let_in();
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
        const Begin begin = std::move(waiting_.back());
        waiting_.pop_back();
        ++under_way_;
        lock.unlock();
        begin(Place(this, [this](void*) { leave(); }));
        lock.lock();
    }
    is_letting_in_ = false;
}

}  // namespace fallow::http
