// `./run bench queue --jobs FILE --gpus N`: the jobs of a trace over simulated time on one pool of cards,
// in the order of the server's timetable (gangs and backfill) beside first-come-first-served and
// shortest-first. Prints a table and writes build/bench/queue.json.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <queue>
#include <set>
#include <stdexcept>

#include "market/placement/timetable.hpp"

namespace fallow::bench {
namespace {

using market::placement::Timetable;

struct Job {
    Time arrives;
    Millis takes;
    std::int64_t cards = 0;
};

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> fields{""};
    for (const char c : line) {
        if (c == ',') {
            fields.emplace_back();
        } else if (c != '\r') {
            fields.back() += c;
        }
    }
    return fields;
}

std::int64_t whole(std::string_view text) {
    std::int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{})
        throw std::runtime_error(fmt::format("not a number: \"{}\"", text));
    return value;
}

/// "2017-09-04 10:30:41", taken as UTC.
Time time_of(const std::string& text) {
    if (text.size() < 19) throw std::runtime_error("not a time: \"" + text + '"');
    const auto part = [&](std::size_t at, std::size_t size) {
        return whole(std::string_view(text).substr(at, size));
    };
    std::int64_t year = part(0, 4);
    const std::int64_t month = part(5, 2);
    if (month <= 2) --year;
    // Days since 1970-01-01 in the Gregorian calendar, counted from March.
    const std::int64_t since_march = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + part(8, 2) - 1;
    const std::int64_t day = 365 * year + year / 4 - year / 100 + year / 400 + since_march - 719468;
    return Time(((day * 24 + part(11, 2)) * 60 + part(14, 2)) * 60'000 + part(17, 2) * 1000);
}

std::vector<Job> read_jobs(const std::string& path) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error("cannot read " + path);
    std::string line;
    std::getline(in, line);
    std::vector<Job> jobs;
    while (std::getline(in, line)) {
        const auto fields = split(line);
        if (fields.size() < 3) throw std::runtime_error(path + ": a line has too few fields");
        jobs.push_back(
            {time_of(fields[0]), seconds(std::max<std::int64_t>(1, whole(fields[1]))), whole(fields[2])});
    }
    std::stable_sort(jobs.begin(), jobs.end(),
                     [](const Job& a, const Job& b) { return a.arrives < b.arrives; });
    return jobs;
}

/// When each job starts.
using Starts = std::vector<Time>;

/// The server's rule. Terms are exact here, so a start once given is never looked at again.
Starts timetable(const std::vector<Job>& jobs, std::int64_t cards) {
    Timetable table(jobs.front().arrives, cards);
    Starts starts;
    for (const Job& job : jobs) {
        table.forget_before(job.arrives);
        starts.push_back(table.earliest(job.arrives, job.cards, job.takes));
        table.book(starts.back(), starts.back() + job.takes, job.cards);
    }
    return starts;
}

/// Serves a queue in an order of its own whenever something arrives or ends. `strict`: who is behind one
/// that has to wait waits, too.
Starts queued(const std::vector<Job>& jobs, std::int64_t cards,
              const std::function<std::int64_t(const Job&)>& rank, bool strict) {
    Starts starts(jobs.size());
    std::set<std::pair<std::int64_t, std::size_t>> waiting;
    using End = std::pair<Time, std::int64_t>;
    std::priority_queue<End, std::vector<End>, std::greater<>> ends;
    std::int64_t free = cards;
    std::size_t next = 0;
    while (next < jobs.size() || !waiting.empty()) {
        Time now = next < jobs.size() ? jobs[next].arrives : ends.top().first;
        if (!ends.empty()) now = std::min(now, ends.top().first);
        for (; !ends.empty() && ends.top().first <= now; ends.pop())
            free += ends.top().second;
        for (; next < jobs.size() && jobs[next].arrives <= now; ++next)
            waiting.emplace(rank(jobs[next]), next);
        for (auto at = waiting.begin(); at != waiting.end() && free > 0;) {
            const Job& job = jobs[at->second];
            if (job.cards > free) {
                if (strict) break;
                ++at;
                continue;
            }
            starts[at->second] = now;
            free -= job.cards;
            ends.emplace(now + job.takes, job.cards);
            at = waiting.erase(at);
        }
    }
    return starts;
}

struct Summary {
    double wait_mean_s = 0;
    double wait_p99_s = 0;
    double slowdown_mean = 0;
    double slowdown_p99 = 0;
    double utilisation = 0;  ///< of the pool, from the first arrival to the last
    double gang_wait_max_s = 0;
    std::size_t gangs_starved = 0;
};

double percentile_99(std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, values.size() * 99 / 100)];
}

/// A gang starves when it waits longer than it would in strict order of arrival.
Summary summarize(const std::vector<Job>& jobs, std::int64_t cards, const Starts& starts,
                  const Starts& strict) {
    Summary summary;
    std::vector<double> waits;
    std::vector<double> slowdowns;
    const Time last = jobs.back().arrives;
    double used = 0;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const double wait = static_cast<double>((starts[i] - jobs[i].arrives).count) / 1000;
        const double takes = static_cast<double>(jobs[i].takes.count) / 1000;
        waits.push_back(wait);
        slowdowns.push_back(std::max(1.0, (wait + takes) / std::max(takes, 10.0)));
        summary.wait_mean_s += wait / static_cast<double>(jobs.size());
        summary.slowdown_mean += slowdowns.back() / static_cast<double>(jobs.size());
        const Millis within = std::min(starts[i] + jobs[i].takes, last) - std::min(starts[i], last);
        used += static_cast<double>(within.count) * static_cast<double>(jobs[i].cards);
        if (jobs[i].cards < 2) continue;
        summary.gang_wait_max_s = std::max(summary.gang_wait_max_s, wait);
        if (starts[i] > strict[i]) ++summary.gangs_starved;
    }
    const double span = static_cast<double>(std::max<std::int64_t>(1, (last - jobs.front().arrives).count));
    summary.utilisation = used / span / static_cast<double>(cards);
    summary.wait_p99_s = percentile_99(waits);
    summary.slowdown_p99 = percentile_99(slowdowns);
    return summary;
}

/// Throws std::logic_error if more cards are in use than there are, or a job starts before it arrives.
void audit(const std::vector<Job>& jobs, std::int64_t cards, const Starts& starts) {
    std::vector<std::pair<Time, std::int64_t>> moves;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (starts[i] < jobs[i].arrives) throw std::logic_error("a job starts before it arrives");
        moves.emplace_back(starts[i], jobs[i].cards);
        moves.emplace_back(starts[i] + jobs[i].takes, -jobs[i].cards);
    }
    std::sort(moves.begin(), moves.end());
    std::int64_t used = 0;
    for (const auto& [when, change] : moves)
        if ((used += change) > cards) throw std::logic_error("more cards are in use than there are");
}

nlohmann::json report(const std::string& name, const Summary& found) {
    fmt::print("  {:<15}{:>12.0f}{:>12.0f}{:>12.2f}{:>12.1f}{:>8.1f} %{:>14.0f}{:>9}\n", name,
               found.wait_mean_s, found.wait_p99_s, found.slowdown_mean, found.slowdown_p99,
               100 * found.utilisation, found.gang_wait_max_s, found.gangs_starved);
    return {{"wait_mean_s", found.wait_mean_s},     {"wait_p99_s", found.wait_p99_s},
            {"slowdown_mean", found.slowdown_mean}, {"slowdown_p99", found.slowdown_p99},
            {"utilisation", found.utilisation},     {"gang_wait_max_s", found.gang_wait_max_s},
            {"gangs_starved", found.gangs_starved}};
}

int run(const std::string& path, std::int64_t cards) {
    std::vector<Job> jobs = read_jobs(path);
    const std::size_t before = jobs.size();
    std::erase_if(jobs, [&](const Job& job) { return job.cards < 1 || job.cards > cards; });
    if (jobs.empty()) throw std::runtime_error(path + " has no job that fits");
    const auto arrival = [](const Job& job) { return job.arrives.ms; };
    const auto length = [](const Job& job) { return job.takes.count; };
    const Starts strict = queued(jobs, cards, arrival, true);
    const std::vector<std::pair<std::string, Starts>> all{
        {"fallow", timetable(jobs, cards)},
        {"first_come", strict},
        {"shortest_first", queued(jobs, cards, length, false)}};
    const auto gangs =
        std::count_if(jobs.begin(), jobs.end(), [](const Job& job) { return job.cards > 1; });
    fmt::print("{} jobs on {} cards, {} gangs of 2 to {}; {} jobs left out\n", jobs.size(), cards, gangs,
               std::max_element(jobs.begin(), jobs.end(),
                                [](const Job& a, const Job& b) { return a.cards < b.cards; })
                   ->cards,
               before - jobs.size());
    fmt::print("  {:<15}{:>12}{:>12}{:>12}{:>12}{:>10}{:>14}{:>9}\n", "order", "wait mean s", "wait p99 s",
               "slowdown", "its p99", "in use", "gang max s", "starved");
    nlohmann::json out{
        {"jobs", jobs.size()}, {"left_out", before - jobs.size()}, {"gpus", cards}, {"gangs", gangs}};
    for (const auto& [name, starts] : all) {
        audit(jobs, cards, starts);
        out["policies"][name] = report(name, summarize(jobs, cards, starts, strict));
    }
    fmt::print(
        "slowdown: (wait + run) / run, a run counted as 10 s at least; starved: gangs that start later "
        "than in "
        "strict order of arrival\n");
    std::filesystem::create_directories("build/bench");
    std::ofstream("build/bench/queue.json") << out.dump(2) << '\n';
    return 0;
}

}  // namespace
}  // namespace fallow::bench

int main(int argc, char** argv) {
    std::string jobs;
    std::int64_t gpus = 0;
    CLI::App app("Waiting and slowdown of a trace's jobs, by the order of service");
    app.add_option("--jobs", jobs, "CSV: timestamp, duration (s), num_gpus");
    app.add_option("--gpus", gpus, "cards in the pool")->check(CLI::Range(1, 1'000'000));
    CLI11_PARSE(app, argc, argv);
    if (jobs.empty() || gpus == 0) {
        fmt::print("needs a trace: --jobs FILE --gpus N\n");
        return 0;
    }
    try {
        return fallow::bench::run(jobs, gpus);
    } catch (const std::exception& error) {
        fmt::print(stderr, "queue: {}\n", error.what());
        return 1;
    }
}
