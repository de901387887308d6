// A virtual world: its time, the events to come, chance, and the trace of what happened. One thread, and
// nothing in it that is not a function of the seed.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "simulation/random.hpp"

namespace fallow::sim {

/// A rule of the auditor was broken; ends the seed.
struct Violation : std::runtime_error {
    Violation(std::string broken, const std::string& detail)
        : std::runtime_error(broken + ": " + detail), rule(std::move(broken)) {}
    std::string rule;
};

/// What was hit, and how often: transitions, end reasons, fault × phase.
using Coverage = std::map<std::string, std::uint64_t>;

class World {
  public:
    World(std::uint64_t seed, bool prints) : random(seed), prints_(prints) {}
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    Random random;
    Coverage coverage;
    /// No more faults: what is left has to come to rest.
    bool is_calm = false;

    [[nodiscard]] Time now() const { return now_; }
    void after(Millis span, std::function<void()> what) {
        events_.push(Event{now_ + span, next_++, std::move(what)});
    }
    /// Carries out the next event; false when there is none before `end`.
    bool step(Time end);
    [[nodiscard]] std::uint64_t steps() const { return steps_; }

    /// One line of the trace. It is part of the hash whether it is printed or not.
    template <class... Arguments>
    void note(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        line_.clear();
        fmt::format_to(std::back_inserter(line_), format, std::forward<Arguments>(arguments)...);
        write_line();
    }
    void hit(const std::string& what) { ++coverage[what]; }
    [[nodiscard]] std::uint64_t hash() const { return hash_; }

  private:
    struct Event {
        Time at;
        std::uint64_t number;
        std::function<void()> what;
    };
    struct Later {
        bool operator()(const Event& a, const Event& b) const {
            return a.at != b.at ? a.at > b.at : a.number > b.number;
        }
    };
    void write_line();

    Time now_{1'800'000'000'000};
    std::priority_queue<Event, std::vector<Event>, Later> events_;
    std::uint64_t next_ = 0;
    std::uint64_t steps_ = 0;
    bool prints_;
    fmt::memory_buffer line_;
    std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

/// Something that can be killed, and can be stopped for a while as by SIGSTOP.
class Process {
  public:
    Process(World& world, std::string name) : world_(world), name_(std::move(name)) {}
    virtual ~Process() = default;
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] bool is_up() const { return is_up_; }
    [[nodiscard]] bool is_hung() const { return is_hung_; }
    /// Dropped when the process dies before; waits while it hangs.
    void later(Millis span, std::function<void()> what);
    void kill();
    void boot();
    void hang();
    void go_on();

  protected:
    virtual void on_boot() = 0;
    virtual void on_killed() = 0;
    World& world_;

  private:
    void run(std::uint64_t life, const std::function<void()>& what);

    std::string name_;
    std::uint64_t life_ = 0;
    bool is_up_ = false;
    bool is_hung_ = false;
    std::vector<std::function<void()>> held_;
};

/// The way between a host, or a client, and the servers.
struct Line {
    bool is_cut = false;
};

/// Loses, doubles, delays and reorders.
class Network {
  public:
    explicit Network(World& world) : world_(world) {}
    void carry(const Line& line, std::function<void()> deliver);

  private:
    World& world_;
};

/// One request from `client` to `server` and its first answer, or nothing after `timeout`. `handle` runs in
/// the server as often as the request arrives.
template <class Answer>
void ask(Network& network, Process& client, const Line& line, Process& server, Millis timeout,
         std::function<void(std::function<void(Answer)>)> handle, std::function<void(const Answer*)> then) {
    const auto once = std::make_shared<std::function<void(const Answer*)>>(std::move(then));
    const auto finish = [once](const Answer* answer) {
        if (*once) std::exchange(*once, nullptr)(answer);
    };
    network.carry(line, [&network, &client, &line, &server, handle = std::move(handle), finish] {
        server.later(Millis(0), [&network, &client, &line, handle, finish] {
            handle([&network, &client, &line, finish](Answer answer) {
                network.carry(line, [&client, finish, answer = std::move(answer)] {
                    client.later(Millis(0), [finish, answer] { finish(&answer); });
                });
            });
        });
    });
    client.later(timeout, [finish] { finish(nullptr); });
}

}  // namespace fallow::sim
