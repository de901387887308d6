// Threads that each own one connection, for what blocks: reads, and transactions that are not the market's.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.hpp"
#include "store/connection.hpp"

namespace fallow::store {

class WorkerPool {
  public:
    /// Runs on one worker's thread. A worker whose session broke is reconnected first; while that fails the
    /// work still runs, and its first statement throws DatabaseError (connection).
    using Work = std::function<void(Connection&)>;
    /// Told of what a work threw, which should have handled its own failures.
    using OnError = std::function<void(const std::string& message)>;

    /// Connects every worker at once; throws DatabaseError when the database is out of reach.
    WorkerPool(const ConnectionSettings& settings, std::size_t workers, OnError on_error,
               std::size_t queue_max = limits::worker_queue_max);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// False when the queue is full or the pool is stopping; the work was not taken then.
    [[nodiscard]] bool submit(Work work);
    [[nodiscard]] std::size_t queue_depth() const;
    /// Takes no more, runs what is queued, and returns when the last work has ended.
    void stop();

  private:
    void serve(Connection& connection);

    OnError on_error_;
    std::size_t queue_max_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Work> queue_;
    bool stopping_ = false;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<std::thread> threads_;
};

}  // namespace fallow::store
