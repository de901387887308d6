#include "store/worker_pool.hpp"

#include <utility>

namespace fallow::store {

WorkerPool::WorkerPool(const ConnectionSettings& settings, std::size_t workers, OnError on_error,
                       std::size_t queue_max)
    : on_error_(std::move(on_error)), queue_max_(queue_max) {
    for (std::size_t i = 0; i < workers; ++i)
        connections_.push_back(std::make_unique<Connection>(settings));
    for (const auto& connection : connections_)
        threads_.emplace_back([this, session = connection.get()] { serve(*session); });
}

WorkerPool::~WorkerPool() {
    stop();
}

bool WorkerPool::submit(Work work) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || queue_.size() >= queue_max_) return false;
        queue_.push_back(std::move(work));
    }
    changed_.notify_one();
    return true;
}

std::size_t WorkerPool::queue_depth() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
}

void WorkerPool::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

void WorkerPool::serve(Connection& connection) {
    while (true) {
        Work work;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
            if (queue_.empty()) return;
            work = std::move(queue_.front());
            queue_.pop_front();
        }
        try {
            if (connection.is_broken()) connection.reconnect();
        } catch (const DatabaseError& error) {
            on_error_(error.what());
        }
        try {
            work(connection);
        } catch (const std::exception& error) {
            on_error_(error.what());
        }
    }
}

}  // namespace fallow::store
