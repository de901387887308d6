// Wakes those who wait for a change: long-polls of agents, streams of events and logs. It carries no data;
// a woken reader reads the database. Topics: "host/<id>", "job/<id>", "journal".
#pragma once

#include <array>
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
    /// Whatever may have changed: what was missed is not known.
    void publish_all();

    /// Rises with every publish to the topic since the process began, and now and then with one to another.
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
    static std::size_t place_of(const std::string& topic);

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    /// Topics share counters, so that the memory does not grow with every job there ever was.
    std::array<std::uint64_t, 4096> versions_{};
    Waiters waiters_;
    std::unordered_map<std::string, std::list<Waiters::iterator>> by_topic_;
    Ticket next_ticket_ = 1;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace fallow::engine
