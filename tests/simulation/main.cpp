// fallow-simulate: runs seeds of the virtual world, prints what they hit, and fails on a broken rule or a
// gap.
#include <CLI/CLI.hpp>

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>

#include "simulation/coverage.hpp"
#include "simulation/mutants.hpp"
#include "simulation/simulation.hpp"

namespace {

using namespace fallow::sim;

struct Options {
    std::optional<std::uint64_t> seed;
    std::uint64_t seeds = 1000;
    std::uint64_t first = 1;
    unsigned workers = 0;
    bool json = false;
    bool stops_at_first = false;
    bool mutants = false;
    std::string only;
};

/// Fewer seeds than this may leave a gap by chance.
constexpr std::uint64_t seeds_for_coverage = 100;

/// Of the thread that asks: what an assertion that fails cannot know.
thread_local std::uint64_t seed_under_way = 0;

void on_abort(int) {
    std::array<char, 96> text{};
    const int size = std::snprintf(text.data(), text.size(), "VIOLATION seed %llu: an assertion failed\n",
                                   static_cast<unsigned long long>(seed_under_way));
    [[maybe_unused]] const auto written = write(STDOUT_FILENO, text.data(), static_cast<std::size_t>(size));
}

SeedResult simulate_one(std::uint64_t seed, bool prints) {
    seed_under_way = seed;
    return simulate(seed, prints);
}

struct Totals {
    std::uint64_t seeds = 0;
    std::uint64_t events = 0;
    std::uint64_t events_min = UINT64_MAX;
    std::uint64_t violations = 0;
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    Coverage coverage;
};

void add(Totals& totals, const SeedResult& result) {
    ++totals.seeds;
    totals.events += result.events;
    totals.events_min = std::min(totals.events_min, result.events);
    totals.hash = (totals.hash ^ result.hash) * 0x100000001b3ULL;
    for (const auto& [what, count] : result.coverage)
        totals.coverage[what] += count;
    if (result.violation.empty()) return;
    ++totals.violations;
    std::printf("VIOLATION seed %llu step %llu: %s\n  replay: ./run simulate --seed %llu\n",
                static_cast<unsigned long long>(result.seed), static_cast<unsigned long long>(result.step),
                result.violation.c_str(), static_cast<unsigned long long>(result.seed));
    std::fflush(stdout);
}

/// Seeds are independent of each other, so each worker takes the next; results are added in their order.
Totals run_seeds(const Options& options) {
    Totals totals;
    std::atomic<std::uint64_t> next{0};
    std::atomic<bool> is_over{false};
    std::mutex mutex;
    std::map<std::uint64_t, SeedResult> early;
    std::uint64_t wanted = 0;
    const auto work = [&] {
        while (!is_over) {
            const std::uint64_t index = next++;
            if (index >= options.seeds) return;
            SeedResult result = simulate_one(options.first + index, false);
            const std::lock_guard lock(mutex);
            early.emplace(index, std::move(result));
            for (auto at = early.find(wanted); at != early.end(); at = early.find(++wanted)) {
                if (!is_over) add(totals, at->second);
                if (options.stops_at_first && totals.violations > 0) is_over = true;
                early.erase(at);
            }
        }
    };
    const unsigned workers = options.workers != 0 ? options.workers : std::thread::hardware_concurrency();
    std::vector<std::jthread> threads;
    for (unsigned number = 0; number < std::max(1U, workers); ++number)
        threads.emplace_back(work);
    threads.clear();
    return totals;
}

}  // namespace

namespace {

int report_mutants(const Options& options) {
    const MutantTotals totals = run_mutants(options.seeds, options.only);
    std::printf("{\"mutants\":%d,\"found\":%d}\n", totals.mutants, totals.found);
    return totals.mutants > 0 && totals.found == totals.mutants ? 0 : 1;
}

int report(const Options& options, const Totals& totals) {
    const bool must_cover = !options.seed && !options.stops_at_first && options.seeds >= seeds_for_coverage;
    const std::size_t missing = report_coverage(totals.coverage).size();
    if (must_cover && missing > 0) std::printf("%zu of what must be hit was never hit\n", missing);
    const char* form =
        options.json ? "{\"seeds\":%llu,\"events\":%llu,\"violations\":%llu,\"trace_hash\":\"%016llx\"}\n"
                     : "%llu seeds, %llu events, %llu violations, trace %016llx\n";
    if (!options.json && totals.seeds > 0)
        std::printf("fewest events in a seed: %llu\n", static_cast<unsigned long long>(totals.events_min));
    std::printf(
        form, static_cast<unsigned long long>(totals.seeds), static_cast<unsigned long long>(totals.events),
        static_cast<unsigned long long>(totals.violations), static_cast<unsigned long long>(totals.hash));
    return totals.violations == 0 && !(must_cover && missing > 0) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("Runs the market, the ledger, the engine and the agents' planner in a virtual world.",
                 "fallow-simulate");
    app.add_option("--seed", options.seed, "One seed, with its readable trace");
    app.add_option("--seeds", options.seeds,
                   "How many seeds; from 100 on, what is never hit fails the run");
    app.add_option("--first", options.first, "The first of them");
    app.add_option("--workers", options.workers, "Threads; one a core");
    app.add_flag("--json", options.json, "End with one line of JSON, and print no trace");
    app.add_flag("--stop", options.stops_at_first, "Stop at the first violation");
    app.add_flag("--mutants", options.mutants, "Run the simulators with a planted bug instead");
    app.add_option("--only", options.only, "This mutant alone");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGABRT, on_abort);

    if (options.mutants) return report_mutants(options);
    if (!options.seed) return report(options, run_seeds(options));
    Totals totals;
    add(totals, simulate_one(*options.seed, !options.json));
    return report(options, totals);
}
