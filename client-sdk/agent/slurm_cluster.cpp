#include "agent/slurm_cluster.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/runtime.hpp"
#include "agent/state.hpp"
#include "agent/watched_process.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 5> programs = {"sbatch", "squeue", "scancel", "scontrol", "srun"};
constexpr WatchLimits limits = {
    .silence_ms = 20'000, .total_ms = 20'000, .output_bytes_max = 16U << 20, .with_errors = false};
constexpr const char* measure_job_name = "fallow-measure";
constexpr const char* measure_minutes = "15";
constexpr const char* allocate_within_s = "20";
/// The cluster's own jobs go first.
constexpr const char* nice = "10000";

std::string gres_word(const std::vector<SlurmGres>& all) {
    std::string text;
    for (const SlurmGres& gres : all)
        text += (text.empty() ? "gpu:" : ",gpu:") + (gres.model.empty() ? "" : gres.model + ":") +
                std::to_string(gres.count);
    return text;
}

std::string one_line(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    while (!text.empty() && text.back() == ' ')
        text.pop_back();
    return text;
}

/// Slurm's own words for a job that has come to its end, that it has forgotten, or that has not begun.
bool is_over(const std::string& text) {
    return text.find("Invalid job id") != text.npos || text.find("already completing") != text.npos ||
           text.find("already completed") != text.npos || text.find("not running") != text.npos ||
           text.find("pending execution") != text.npos;
}

}  // namespace

std::vector<std::string> sbatch_words(const SlurmOrder& order, const std::string& partition) {
    return {"--parsable", "--partition=" + partition, "--nodelist=" + order.node, "--nodes=1", "--ntasks=1",
            "--cpus-per-task=" + std::to_string(order.cpus), "--mem=" + std::to_string(order.memory_mib),
            "--gres=" + gres_word({order.gres}), "--time=" + std::to_string(order.minutes),
            "--job-name=" + order.mark.lease_id, "--comment=" + mark_text(order.mark), "--no-requeue",
            // So long before its time is over; the script hears it, and ends its guest.
            "--signal=B:TERM@30", std::string("--nice=") + nice, "--export=NONE", "--chdir=/",
            "--input=/dev/null", "--output=" + order.output.string(), order.script.string()};
}

SlurmCluster::SlurmCluster(SlurmOptions options) : options_(std::move(options)) {
    for (const char* name : programs)
        if (path_of(name).empty())
            throw std::runtime_error(std::string(name) +
                                     " is not in PATH: install Slurm's client programs");
    // Times as seconds since 1970, whatever the zone of this host.
    ::setenv("SLURM_TIME_FORMAT", "%s", 1);
}

std::string SlurmCluster::path_of(const std::string& name) const {
    const char* const path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "/usr/bin:/usr/local/bin" : path);
    for (std::string folder; std::getline(folders, folder, ':');)
        if (const fs::path file = fs::path(folder) / name; ::access(file.c_str(), X_OK) == 0)
            return file.string();
    return {};
}

SlurmCluster::Answer SlurmCluster::call(const std::string& name, const std::vector<std::string>& words,
                                        bool with_errors) const {
    std::vector<std::string> all{path_of(name)};
    all.insert(all.end(), words.begin(), words.end());
    WatchLimits watch = limits;
    watch.with_errors = with_errors;
    WatchedProcess process;
    try {
        process = run_watched(all, watch, {});
    } catch (const std::exception& error) {
        throw RuntimeUnreachable(error.what());
    }
    if (process.end != ProcessEnd::exited) throw RuntimeUnreachable(name + " " + describe(process, watch));
    return {process.code, std::move(process.output)};
}

std::string SlurmCluster::ask(const std::string& name, const std::vector<std::string>& words) const {
    Answer answer = call(name, words, false);
    if (answer.code != 0)
        throw RuntimeUnreachable(name + " ended with code " + std::to_string(answer.code));
    return std::move(answer.text);
}

SlurmSelf SlurmCluster::self() const {
    return {.uid = static_cast<std::int64_t>(::getuid()), .host_id = options_.host_id};
}

std::string SlurmCluster::version() {
    std::string text = one_line(ask("scontrol", {"--version"}));
    return text.empty() ? "slurm" : text;
}

std::string SlurmCluster::cluster_name() {
    std::istringstream lines(ask("scontrol", {"show", "config"}));
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("ClusterName")) continue;
        const std::size_t at = line.find("= ");
        if (at != line.npos) return one_line(line.substr(at + 2));
    }
    throw RuntimeUnreachable("scontrol names no cluster");
}

std::vector<SlurmNode> SlurmCluster::nodes() {
    std::vector<SlurmNode> all = parse_nodes(ask("scontrol", {"-d", "-o", "show", "node"}));
    std::erase_if(all, [&](const SlurmNode& node) { return !node.is_in(options_.partition); });
    if (all.empty())
        throw RuntimeError("the cluster has no partition \"" + options_.partition + "\" with nodes in it");
    return all;
}

std::vector<SlurmJob> SlurmCluster::jobs(std::int64_t age_ms_max) {
    const std::lock_guard lock(mutex_);
    const std::int64_t now = boot_clock_ms();
    if (jobs_read_boot_ms_ != 0 && now - jobs_read_boot_ms_ < age_ms_max) return jobs_;
    try {
        jobs_ = parse_jobs(ask("squeue", {"--noheader", "--states=all", "--partition=" + options_.partition,
                                          "-O", std::string(squeue_format)}));
    } catch (const RuntimeUnreachable&) {
        throw;
    } catch (const std::runtime_error& error) {
        throw RuntimeUnreachable(error.what());
    }
    jobs_read_boot_ms_ = now;
    return jobs_;
}

std::optional<SlurmTimes> SlurmCluster::times(const std::string& job) {
    const Answer answer = call("scontrol", {"-o", "show", "job", job}, true);
    if (answer.code == 0) return parse_times(answer.text);
    if (is_over(answer.text)) return std::nullopt;
    throw RuntimeUnreachable(one_line(answer.text));
}

std::string SlurmCluster::submit(const SlurmOrder& order) {
    const Answer answer = call("sbatch", sbatch_words(order, options_.partition), true);
    {
        const std::lock_guard lock(mutex_);
        jobs_read_boot_ms_ = 0;
    }
    if (answer.code != 0) {
        if (answer.text.find("contact") != answer.text.npos ||
            answer.text.find("timed out") != answer.text.npos)
            throw RuntimeUnreachable(one_line(answer.text));
        throw RuntimeError("Slurm refuses the job: " + one_line(answer.text));
    }
    // "JOB" or "JOB;CLUSTER", after what Slurm may warn of.
    std::string id = one_line(answer.text);
    id = id.substr(id.rfind(' ') + 1);
    id = id.substr(0, id.find(';'));
    if (id.empty() || !std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; }))
        throw RuntimeUnreachable("sbatch said what cannot be read: " + one_line(answer.text));
    return id;
}

bool SlurmCluster::signal(const std::string& job, const std::string& signal_name) {
    const Answer answer = call("scancel", {"--signal=" + signal_name, "--batch", job}, true);
    if (answer.code == 0 && answer.text.empty()) return true;
    if (is_over(answer.text)) return false;
    throw RuntimeUnreachable(one_line(answer.text));
}

void SlurmCluster::cancel(const std::string& job) {
    const Answer answer = call("scancel", {job}, true);
    {
        const std::lock_guard lock(mutex_);
        jobs_read_boot_ms_ = 0;
    }
    if (answer.code != 0 && !is_over(answer.text)) throw RuntimeUnreachable(one_line(answer.text));
}

void SlurmCluster::cancel_measurements() {
    static_cast<void>(
        ask("scancel", {"--partition=" + options_.partition, std::string("--jobname=") + measure_job_name,
                        "--user=" + std::to_string(self().uid)}));
}

std::vector<std::string> SlurmCluster::launch_words(const std::string& node,
                                                    const std::vector<SlurmGres>& gres) const {
    std::vector<std::string> words = {path_of("srun"),
                                      "--quiet",
                                      "--partition=" + options_.partition,
                                      "--nodelist=" + node,
                                      "--nodes=1",
                                      "--ntasks=1",
                                      std::string("--immediate=") + allocate_within_s,
                                      std::string("--time=") + measure_minutes,
                                      std::string("--job-name=") + measure_job_name,
                                      "--comment=" + mark_text({options_.host_id, {}, 0}),
                                      std::string("--nice=") + nice,
                                      "--chdir=/"};
    if (!gres.empty()) words.push_back("--gres=" + gres_word(gres));
    return words;
}

bool SlurmCluster::is_this_host(const SlurmNode& node) {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return false;
    const std::string here(name.data());
    return node.host_name == here || node.host_name == here.substr(0, here.find('.'));
}

void SlurmCluster::pulse(std::int64_t sent_boot_ms) const {
    write_file_atomically(pulse_file(), std::to_string(sent_boot_ms) + "\n");
}

}  // namespace fallow::agent
