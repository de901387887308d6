// Wakes those who wait for a change: long-polls of agents, streams of events and logs. It carries no data;
// a woken reader reads the database. Topics: "host/<id>", "organization/<id>", "job/<id>", "journal".
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

namespace fallow::engine {

class Hub {
  public:
    using Clock = std::chrono::steady_clock;
    using Ticket = std::uint64_t;

    Hub();
    ~Hub();
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    void publish(const std::string& topic);

    /// Rises with every publish to the topic since the process began.
    [[nodiscard]] std::uint64_t version(const std::string& topic) const;

    /// Calls `ready(changed)` once: at once when the topic's version differs from `seen`, else at the next
    /// publish (true), or at the deadline, cancel() or stop() (false). Called on the publisher's or the
    /// hub's thread and must not block.
    Ticket wait(const std::string& topic, std::uint64_t seen, Clock::time_point deadline,
                std::function<void(bool changed)> ready);
    void cancel(Ticket ticket);
    /// Ends every wait; later ones end at once.
    void stop();

  private:
    struct Waiter {
        Ticket ticket;
        std::string topic;
        std::function<void(bool)> ready;
    };
    using Waiters = std::multimap<Clock::time_point, Waiter>;

    void run();

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::unordered_map<std::string, std::uint64_t> versions_;
    Waiters waiters_;
    std::unordered_map<std::string, std::list<Waiters::iterator>> by_topic_;
    Ticket next_ticket_ = 1;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace fallow::engine
