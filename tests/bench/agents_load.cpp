// The swarm of `./run bench agents`: enrols its hosts through the API, then lives their agents' lives in
// one thread over epoll. It says what it does in JSON lines, and is told over its input: "mark" begins a
// new tally, "report" prints it, "quit" ends.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/agents/agent.hpp"

namespace fallow::bench {
namespace {

using nlohmann::json;

void say(const json& line) {
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
}

std::string first_line(const std::string& path) {
    std::ifstream in(path);
    std::string line;
    if (!std::getline(in, line)) throw std::runtime_error("cannot read " + path);
    return line;
}

/// The percentile of what was noted; sorts it.
float at(std::vector<float>& values, double part) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

class Loop {
  public:
    explicit Loop(const EnrolmentOptions& options, milliseconds spread) {
        swarm_.wire.poller = ::epoll_create1(EPOLL_CLOEXEC);
        swarm_.wire.port = options.port;
        swarm_.wire.context = make_client_context(options.ca_file);
        swarm_.wire.key = make_tls_key();
        for (EnrolledHost& host : enrol(options, swarm_.wire.key.get()))
            agents_.push_back(std::make_unique<Agent>(swarm_, std::move(host)));
        say({{"enrolled", agents_.size()}});
        for (const auto& agent : agents_)
            agent->start(spread);
        epoll_event commands{};
        commands.events = EPOLLIN;
        commands.data.ptr = nullptr;
        ::epoll_ctl(swarm_.wire.poller, EPOLL_CTL_ADD, STDIN_FILENO, &commands);
    }

    /// Whatever has come is read before any deadline is looked at: the swarm may be late, the server was
    /// not.
    void run() {
        while (!is_over_) {
            if (take(pause_ms())) continue;
            ring();
        }
    }

  private:
    [[nodiscard]] int pause_ms() const {
        if (swarm_.alarms.empty()) return 1000;
        const auto left = std::chrono::ceil<milliseconds>(swarm_.alarms.top().at - Clock::now()).count();
        return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000));
    }
    bool take(int wait_ms) {
        std::array<epoll_event, 512> ready{};
        const int count =
            ::epoll_wait(swarm_.wire.poller, ready.data(), static_cast<int>(ready.size()), wait_ms);
        for (int i = 0; i < count; ++i) {
            void* const link = ready[static_cast<std::size_t>(i)].data.ptr;
            if (link == nullptr)
                obey();
            else
                static_cast<Link*>(link)->on_ready();
        }
        return count > 0;
    }
    void ring() {
        // A bounded number, then replies again.
        for (int i = 0; i < 64 && !swarm_.alarms.empty() && swarm_.alarms.top().at <= Clock::now(); ++i) {
            const Swarm::Alarm alarm = swarm_.alarms.top();
            swarm_.alarms.pop();
            alarm.agent->on_alarm(alarm.number);
        }
    }
    void obey() {
        std::array<char, 256> text{};
        const ssize_t count = ::read(STDIN_FILENO, text.data(), text.size());
        if (count <= 0) {
            is_over_ = true;
            return;
        }
        for (const char c : std::string_view(text.data(), static_cast<std::size_t>(count))) {
            if (c != '\n') {
                command_ += c;
                continue;
            }
            if (command_ == "mark") mark();
            if (command_ == "report") report();
            if (command_ == "quit") is_over_ = true;
            command_.clear();
        }
    }
    void mark() {
        swarm_.tally = {};
        swarm_.wire.handshakes = swarm_.wire.resumed = 0;
        marked_at_ = Clock::now();
        for (const auto& agent : agents_)
            agent->forget_gaps();
        say({{"marked", true}});
    }
    void report() {
        Tally& tally = swarm_.tally;
        const auto now = Clock::now();
        std::size_t silent = 0;  // not yet heard since the mark, or beyond their fence just now
        std::size_t since_mark = 0;
        std::size_t leased = 0;
        for (const auto& agent : agents_) {
            if (now - agent->acknowledged_at() >= milliseconds(swarm_.fence_ms)) ++silent;
            if (agent->acknowledged_at() >= marked_at_) ++since_mark;
            if (agent->has_lease()) ++leased;
        }
        json statuses = json::object();
        for (const auto& [status, count] : tally.statuses)
            statuses[std::to_string(status)] = count;
        say({{"agents", agents_.size()},
             {"connections", swarm_.wire.open},
             {"heartbeats", tally.heartbeats},
             {"missed_heartbeats", tally.missed_heartbeats},
             {"heartbeat_p50_ms", at(tally.heartbeat_ms, 0.50)},
             {"heartbeat_p99_ms", at(tally.heartbeat_ms, 0.99)},
             {"polls", tally.polls},
             {"failed_polls", tally.failed_polls},
             {"leases_done", tally.leases_done},
             {"refused_reports", tally.refused_reports},
             {"fenced", tally.fenced},
             {"beyond_fence_now", silent},
             {"heard_since_mark", since_mark},
             {"leased", leased},
             {"longest_gap_ms", tally.longest_gap_ms},
             {"longest_leased_gap_ms", tally.longest_leased_gap_ms},
             {"handshakes", swarm_.wire.handshakes},
             {"resumed", swarm_.wire.resumed},
             {"not_200", statuses}});
    }

    Swarm swarm_;
    std::vector<std::unique_ptr<Agent>> agents_;
    std::string command_;
    Clock::time_point marked_at_;
    bool is_over_ = false;
};

}  // namespace
}  // namespace fallow::bench

int main(int argc, char** argv) {
    fallow::bench::EnrolmentOptions options;
    std::string key_file;
    std::int64_t spread_ms = 10'000;
    CLI::App app("A swarm of agents for a fallowd on this machine.");
    app.add_option("--port", options.port)->required();
    app.add_option("--ca", options.ca_file)->required();
    app.add_option("--seller-key-file", key_file)->required();
    app.add_option("--agents", options.hosts)->check(CLI::Range(1, 100'000));
    app.add_option("--listed", options.listed, "so many of them list a card");
    app.add_option("--threads", options.threads, "that enrol")->check(CLI::Range(1, 64));
    app.add_option("--spread-ms", spread_ms, "over which they connect")->check(CLI::Range(0, 600'000));
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    try {
        options.seller_key = fallow::bench::first_line(key_file);
        fallow::bench::Loop(options, std::chrono::milliseconds(spread_ms)).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "agents_load: %s\n", error.what());
        return 1;
    }
}
