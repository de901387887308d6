// One agent of the swarm: it talks to the server as fallow-agent does (client-sdk/agent/agent.cpp), and
// what it is told to run it reports as run, without a container.
//
// While it has no lease one connection serves heartbeats and long-polls in turn; while it has one,
// heartbeats and reports have a connection of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "agent/return_policy.hpp"
#include "bench/agents/enrolment.hpp"
#include "bench/agents/link.hpp"

namespace fallow::bench {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Tally {
    std::size_t heartbeats = 0;
    std::size_t missed_heartbeats = 0;  ///< not acknowledged within the timeout
    std::size_t polls = 0;
    std::size_t failed_polls = 0;
    std::size_t leases_done = 0;
    std::size_t refused_reports = 0;
    std::size_t fenced = 0;  ///< heard nothing for longer than the fence while it had a lease, each once
    std::int64_t longest_gap_ms = 0;
    std::int64_t longest_leased_gap_ms = 0;
    std::vector<float> heartbeat_ms;
    std::map<int, std::size_t> statuses;  ///< of what was not 200; 0: no reply
};

class Agent;

/// What all agents share: the wire, the clock's alarms, the tally.
struct Swarm {
    Wire wire;
    Tally tally;
    std::mt19937_64 random{1};
    std::int64_t fence_ms = 10'000;
    std::int64_t idle_return_ms = agent::idle_return_ms_unknown;  ///< as the server has said last

    struct Alarm {
        Clock::time_point at;
        Agent* agent;
        std::uint64_t number;
        bool operator>(const Alarm& other) const { return at > other.at; }
    };
    std::priority_queue<Alarm, std::vector<Alarm>, std::greater<>> alarms;
};

class Agent {
  public:
    Agent(Swarm& swarm, EnrolledHost host);

    /// Begins to beat within the next `spread`.
    void start(milliseconds spread);
    void on_alarm(std::uint64_t number);
    /// From here on a gap is counted.
    void forget_gaps() { is_fenced_ = false; }
    [[nodiscard]] bool has_lease() const { return !is_idle(); }
    [[nodiscard]] Clock::time_point acknowledged_at() const { return acknowledged_at_; }

  private:
    struct Report {
        std::string lease;
        std::int64_t epoch = 0;
        std::string phase;
    };

    void look();
    void beat(Link& link);
    void on_beat(int status, std::string_view body);
    void poll();
    void on_poll(int status, std::string_view body);
    void on_probe();
    void take_desired(std::string_view body);
    void report_next();
    void on_report(int status);
    void wake_at(Clock::time_point when);
    [[nodiscard]] milliseconds with_jitter(std::int64_t ms);
    [[nodiscard]] milliseconds with_spread(std::int64_t least_ms, std::int64_t most_ms);
    [[nodiscard]] milliseconds within(agent::Pause pause);
    [[nodiscard]] milliseconds pause_after(int status, bool was_refused, int in_a_row);
    [[nodiscard]] Clock::time_point patience_ends() const;
    [[nodiscard]] milliseconds timeout() const;
    [[nodiscard]] bool is_idle() const { return leases_.empty(); }
    Link& other(Link& link) { return &link == &main_ ? second_ : main_; }

    Swarm& swarm_;
    EnrolledHost host_;
    Link main_;    ///< long-polls, and heartbeats while idle
    Link second_;  ///< heartbeats and reports otherwise
    std::uint64_t alarm_ = 0;
    Clock::time_point alarm_at_ = Clock::time_point::max();
    Clock::time_point next_beat_;
    Clock::time_point next_poll_;
    Clock::time_point beat_sent_;
    Clock::time_point poll_ends_;
    Clock::time_point acknowledged_at_;  ///< when the last acknowledged heartbeat was sent
    Link* beating_ = nullptr;
    int failed_beats_ = 0;  ///< since the last that was acknowledged
    bool is_polling_ = false;
    bool is_reporting_ = false;
    bool is_fenced_ = false;
    bool waits_for_contact_ = true;  ///< after a failed poll: until a heartbeat is acknowledged
    std::uint64_t sequence_ = 0;
    std::string version_;
    std::map<std::string, std::int64_t> leases_;  ///< their epochs
    std::deque<Report> reports_;
    Clock::time_point next_report_;
};

}  // namespace fallow::bench
