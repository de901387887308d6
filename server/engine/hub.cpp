#include "engine/hub.hpp"

#include <utility>
#include <vector>

namespace fallow::engine {

Hub::Hub() : thread_([this] { run(); }) {}

Hub::~Hub() {
    stop();
    thread_.join();
}

void Hub::publish(const std::string& topic) {
    std::vector<std::function<void(bool)>> ready;
    {
        const std::lock_guard lock(mutex_);
        ++versions_[place_of(topic)];
        const auto found = by_topic_.find(topic);
        if (found == by_topic_.end()) return;
        for (const auto at : found->second) {
            ready.push_back(std::move(at->second.ready));
            waiters_.erase(at);
        }
        by_topic_.erase(found);
    }
    for (auto& call : ready)
        call(true);
}

void Hub::publish_all() {
    Waiters waiters;
    {
        const std::lock_guard lock(mutex_);
        for (std::uint64_t& version : versions_)
            ++version;
        waiters.swap(waiters_);
        by_topic_.clear();
    }
    for (auto& [deadline, waiter] : waiters)
        waiter.ready(true);
}

std::uint64_t Hub::version(const std::string& topic) const {
    const std::lock_guard lock(mutex_);
    return versions_[place_of(topic)];
}

std::size_t Hub::place_of(const std::string& topic) {
    return std::hash<std::string>{}(topic) % std::tuple_size_v<decltype(versions_)>;
}

Hub::Ticket Hub::wait(const std::string& topic, std::uint64_t seen, Clock::time_point deadline,
                      std::function<void(bool)> ready) {
    bool changed = false;
    {
        const std::lock_guard lock(mutex_);
        changed = versions_[place_of(topic)] != seen;
        if (!changed && !stopping_) {
            const Ticket ticket = next_ticket_++;
            const auto at = waiters_.emplace(deadline, Waiter{ticket, topic, std::move(ready)});
            by_topic_[topic].push_back(at);
            wake_.notify_one();
            return ticket;
        }
    }
    ready(changed);
    return 0;
}

void Hub::cancel(Ticket ticket) {
    std::function<void(bool)> ready;
    {
        const std::lock_guard lock(mutex_);
        for (auto at = waiters_.begin(); at != waiters_.end(); ++at) {
            if (at->second.ticket != ticket) continue;
            ready = std::move(at->second.ready);
            auto& list = by_topic_[at->second.topic];
            list.remove(at);
            if (list.empty()) by_topic_.erase(at->second.topic);
            waiters_.erase(at);
            break;
        }
    }
    if (ready) ready(false);
}

void Hub::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
}

void Hub::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        if (stopping_ && waiters_.empty()) return;
        if (waiters_.empty()) {
            wake_.wait(lock);
            continue;
        }
        const auto first = waiters_.begin();
        // A copy: the waiter may be gone when the wait is over.
        const Clock::time_point deadline = first->first;
        if (!stopping_ && deadline > Clock::now()) {
            wake_.wait_until(lock, deadline);
            continue;
        }
        Waiter waiter = std::move(first->second);
        auto& list = by_topic_[waiter.topic];
        list.remove(first);
        if (list.empty()) by_topic_.erase(waiter.topic);
        waiters_.erase(first);
        lock.unlock();
        waiter.ready(false);
        lock.lock();
    }
}

}  // namespace fallow::engine
