// Slurm's own programs, called with argument vectors and never through a shell. It decides nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/slurm_view.hpp"

namespace fallow::agent {

struct SlurmOptions {
    std::string partition;
    std::string host_id;
    /// What the nodes of the partition need to see under the same path: the agent's state folder.
    std::filesystem::path state_folder;
    std::filesystem::path program;  ///< fallow-agent, as the nodes see it
    std::string engine_socket;      ///< of the container engine on each node
    std::string runtime;            ///< the OCI runtime that guests run under
    bool user_namespace = true;     ///< where a node can give one
};

/// What a lease's batch job asks for.
struct SlurmOrder {
    SlurmMark mark;
    std::string node;
    SlurmGres gres;
    std::int64_t cpus = 1;
    std::int64_t memory_mib = 0;
    std::int64_t minutes = 0;
    std::filesystem::path script;
    std::filesystem::path output;
};

/// The words after `sbatch`. Pure.
[[nodiscard]] std::vector<std::string> sbatch_words(const SlurmOrder& order, const std::string& partition);

/// Any thread. Everything throws RuntimeUnreachable when Slurm does not answer.
class SlurmCluster {
  public:
    /// Throws std::runtime_error when one of Slurm's programs is not in PATH.
    explicit SlurmCluster(SlurmOptions options);

    [[nodiscard]] const SlurmOptions& options() const { return options_; }
    [[nodiscard]] SlurmSelf self() const;
    /// "slurm-wlm 22.05.8"
    [[nodiscard]] std::string version();
    /// Of scontrol's ClusterName.
    [[nodiscard]] std::string cluster_name();

    /// All nodes of the partition. Throws RuntimeError when there is no such partition.
    [[nodiscard]] std::vector<SlurmNode> nodes();
    /// All jobs of the partition that Slurm still knows. Not older than `age_ms_max`.
    [[nodiscard]] std::vector<SlurmJob> jobs(std::int64_t age_ms_max);
    /// Nothing when Slurm does not know the job any more.
    [[nodiscard]] std::optional<SlurmTimes> times(const std::string& job);

    /// The job's id. Throws RuntimeError when Slurm refuses it.
    [[nodiscard]] std::string submit(const SlurmOrder& order);
    /// To the batch script alone. False when the job does not run.
    bool signal(const std::string& job, const std::string& signal_name);
    /// No error when it has ended.
    void cancel(const std::string& job);
    void cancel_measurements();

    /// What runs a program on a node, with these cards; for a watched process.
    [[nodiscard]] std::vector<std::string> launch_words(const std::string& node,
                                                        const std::vector<SlurmGres>& gres) const;

    /// Nodes on which this very process runs.
    [[nodiscard]] static bool is_this_host(const SlurmNode& node);

    // Where the agent and the job of a lease meet.
    [[nodiscard]] std::filesystem::path leases_folder() const { return options_.state_folder / "leases"; }
    [[nodiscard]] std::filesystem::path pulse_file() const { return options_.state_folder / "slurm.pulse"; }
    /// A heartbeat was acknowledged: jobs on other nodes go on.
    void pulse(std::int64_t sent_boot_ms) const;

  private:
    struct Answer {
        int code = 0;
        std::string text;
    };
    [[nodiscard]] std::string path_of(const std::string& name) const;
    [[nodiscard]] Answer call(const std::string& name, const std::vector<std::string>& words,
                              bool with_errors) const;
    [[nodiscard]] std::string ask(const std::string& name, const std::vector<std::string>& words) const;

    SlurmOptions options_;
    std::mutex mutex_;
    std::vector<SlurmJob> jobs_;
    std::int64_t jobs_read_boot_ms_ = 0;
};

}  // namespace fallow::agent
