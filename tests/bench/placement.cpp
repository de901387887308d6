// `./run bench placement --nodes FILE --pods FILE [--pods FILE ...] [--seeds N] [--derive SEED ...]`: the
// server's own placement beside the policies of the literature, over the packing protocol of Weng et al.
// (USENIX ATC 2023), on the workloads of the files or on others derived from them (packing/derive.hpp).
// Prints a table and writes build/bench/placement.json.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/packing/derive.hpp"
#include "bench/packing/replay.hpp"

namespace fallow::bench {
namespace {

struct Options {
    std::string nodes;
    std::vector<std::string> pods;
    unsigned seeds = 10;
    unsigned threads = 1;
    bool scaling = true;
    std::vector<std::uint64_t> derive;
    std::vector<std::string> only;
};

/// Those that were asked for, and the first and the last of all, which are compared.
std::vector<PolicyName> chosen(const Options& options) {
    std::vector<PolicyName> some;
    for (const PolicyName& policy : policies()) {
        const bool is_compared =
            policy.key == policies().front().key || policy.key == policies().back().key;
        const bool is_named =
            std::find(options.only.begin(), options.only.end(), policy.key) != options.only.end();
        if (options.only.empty() || is_compared || is_named) some.push_back(policy);
    }
    return some;
}

/// By policy, then by seed.
using Results = std::vector<std::vector<Packed>>;

Results run_all(const Workload& workload, const Trace& trace, const Options& options) {
    const std::vector<PolicyName> tried = chosen(options);
    Results results(tried.size(), std::vector<Packed>(options.seeds));
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t i = next++; i < results.size() * options.seeds; i = next++) {
            const std::size_t policy = i / options.seeds;
            const std::size_t seed = i % options.seeds;
            results[policy][seed] = replay(tried[policy], workload, trace, seed);
        }
    };
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < options.threads; ++i)
        threads.emplace_back(work);
    work();
    threads.clear();
    return results;
}

template <class Value>
double mean(const std::vector<Packed>& runs, Value&& value) {
    double sum = 0;
    for (const Packed& run : runs)
        sum += value(run);
    return sum / static_cast<double>(runs.size());
}

double median_speed(const std::vector<Packed>& runs) {
    std::vector<double> speeds;
    for (const Packed& run : runs)
        speeds.push_back(static_cast<double>(run.decisions) / run.seconds);
    std::nth_element(speeds.begin(), speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2),
                     speeds.end());
    return speeds[speeds.size() / 2];
}

/// Prints the table of one workload and gives it as JSON.
nlohmann::json report(const Workload& workload, const Results& results,
                      const std::vector<PolicyName>& tried) {
    nlohmann::json all = nlohmann::json::object();
    const std::vector<Packed>& fgd = results.back();
    fmt::print("\n{}: {} tasks in {} classes, {} seeds\n", workload.name, workload.tasks.size(),
               workload.classes.size(), fgd.size());
    fmt::print("  {:<11}{:>9}{:>9}{:>12}{:>12}{:>14}\n", "policy", "100 %", "130 %", "to FGD 100",
               "to FGD 130", "decisions/s");
    for (std::size_t i = 0; i < results.size(); ++i) {
        const auto at_100 = [](const Packed& run) { return run.alloc_100; };
        const auto at_130 = [](const Packed& run) { return run.alloc_130; };
        const double mean_100 = mean(results[i], at_100);
        const double mean_130 = mean(results[i], at_130);
        const double speed = median_speed(results[i]);
        fmt::print("  {:<11}{:>9.2f}{:>9.2f}{:>+12.2f}{:>+12.2f}{:>14.0f}\n", tried[i].key, mean_100,
                   mean_130, mean_100 - mean(fgd, at_100), mean_130 - mean(fgd, at_130), speed);
        all[std::string(tried[i].key)] = {
            {"alloc_100", mean_100}, {"alloc_130", mean_130}, {"decisions_per_s", speed}};
    }
    return all;
}

/// What a decision costs by the number of hosts.
nlohmann::json report_scaling(const Workload& workload, const Trace& trace) {
    constexpr std::size_t decisions_min = 200'000;
    fmt::print("\nfallow, hosts of {} repeated, filled to 100 %:\n  {:>9}{:>12}{:>16}{:>14}{:>10}\n",
               workload.name, "hosts", "decisions", "us a decision", "decisions/s", "to first");
    nlohmann::json runs = nlohmann::json::array();
    double first = 0;
    double ratio = 1;
    for (const std::size_t hosts : {1'000, 10'000, 100'000}) {
        const Scaling run = scaling(workload, trace, hosts, decisions_min);
        if (first == 0) first = run.micros_per_decision;
        ratio = run.micros_per_decision / first;
        const double per_s = 1e6 / run.micros_per_decision;
        fmt::print("  {:>9}{:>12}{:>16.2f}{:>14.0f}{:>10.2f}\n", run.hosts, run.decisions,
                   run.micros_per_decision, per_s, ratio);
        std::fflush(stdout);
        runs.push_back({{"hosts", run.hosts},
                        {"decisions", run.decisions},
                        {"micros_per_decision", run.micros_per_decision},
                        {"decisions_per_s", per_s}});
    }
    return {{"runs", std::move(runs)}, {"ratio", ratio}};
}

int run(const Options& options) {
    const Trace trace = read_hosts(options.nodes);
    fmt::print("{} hosts, {} cards\n", trace.hosts.size(), trace.capacity / placement::whole_card);
    const std::vector<PolicyName> tried = chosen(options);
    for (const PolicyName& policy : tried)
        fmt::print("  {:<11}{}\n", policy.key, policy.what);
    fmt::print(
        "Equals: the lowest name, after fallow's own tie-break. FGD is given the typical tasks of the "
        "whole "
        "workload in advance; fallow learns them as they come.\n");
    nlohmann::json out;
    std::vector<Workload> workloads;
    for (const std::string& path : options.pods) {
        const Workload workload = read_tasks(path, trace);
        if (options.derive.empty()) workloads.push_back(workload);
        for (const std::uint64_t seed : options.derive)
            workloads.push_back(derived(workload, seed));
    }
    for (const Workload& workload : workloads) {
        const nlohmann::json found = report(workload, run_all(workload, trace, options), tried);
        if (!out.contains("policies")) {
            out["workload"] = workload.name;
            out["policies"] = found;
        }
        out["workloads"][workload.name] = {{"policies", found}};
        std::fflush(stdout);
    }
    out["seeds"] = options.seeds;
    out["hosts"] = trace.hosts.size();
    if (options.scaling) out["scaling"] = report_scaling(read_tasks(options.pods.front(), trace), trace);
    std::filesystem::create_directories("build/bench");
    std::ofstream("build/bench/placement.json") << out.dump(2) << '\n';
    return 0;
}

}  // namespace
}  // namespace fallow::bench

int main(int argc, char** argv) {
    fallow::bench::Options options;
    CLI::App app("The server's placement beside others, on a packing trace");
    app.add_option("--nodes", options.nodes, "CSV: sn, cpu_milli, memory_mib, gpu, model");
    app.add_option("--pods", options.pods,
                   "CSV: name, cpu_milli, memory_mib, num_gpu, gpu_milli[, gpu_spec]");
    app.add_option("--seeds", options.seeds, "orders of arrival")->check(CLI::Range(1, 1000));
    app.add_option("--threads", options.threads, "speeds are only true with one")->check(CLI::Range(1, 64));
    app.add_flag("!--no-scaling", options.scaling, "leave out the 100,000 hosts");
    app.add_option("--derive", options.derive,
                   "workloads derived from the files' with these seeds instead");
    app.add_option("--only", options.only, "these policies beside fallow and fgd");
    CLI11_PARSE(app, argc, argv);
    if (options.nodes.empty() || options.pods.empty()) {
        fmt::print("needs a trace: --nodes FILE --pods FILE\n");
        return 0;
    }
    try {
        return fallow::bench::run(options);
    } catch (const std::exception& error) {
        fmt::print(stderr, "placement: {}\n", error.what());
        return 1;
    }
}
