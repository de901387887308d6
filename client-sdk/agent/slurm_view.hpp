// What Slurm says of a partition, as values, and what follows from it for the cards that are offered. Pure:
// the texts come in. They are asked for with explicit formats, because Slurm's JSON needs a plugin.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/owner_policy.hpp"

namespace fallow::agent {

/// Generic resources of the name `gpu`.
struct SlurmGres {
    std::string model;  ///< its type; empty: it has none, or any will do
    std::int64_t count = 0;
    friend bool operator==(const SlurmGres&, const SlurmGres&) = default;
};

struct SlurmNode {
    std::string name;
    std::string host_name;
    std::string state;  ///< "IDLE", "MIXED+DRAIN", …
    std::string partitions;
    std::string boot_time;
    std::int64_t cpus = 0;
    std::int64_t memory_mib = 0;
    std::vector<SlurmGres> gres;
    std::vector<SlurmGres> used;  ///< by whosever jobs

    /// Slurm starts jobs on it: it is not down, drained, failed, or away.
    [[nodiscard]] bool is_up() const;
    [[nodiscard]] bool is_in(std::string_view partition) const;
    [[nodiscard]] std::int64_t used_of(std::string_view model) const;
    friend bool operator==(const SlurmNode&, const SlurmNode&) = default;
};

struct SlurmJob {
    std::string id;
    std::string state;  ///< "PENDING", "RUNNING", …
    std::int64_t uid = 0;
    std::string reason;  ///< why it is pending: "Resources", "Priority", "JobHeldUser", …
    std::int64_t nodes = 1;
    std::string node_list;
    std::vector<SlurmGres> per_node;
    std::vector<SlurmGres> per_job;  ///< of --gpus
    std::string required_nodes;      ///< of --nodelist
    std::string comment;

    /// It has not come to its end.
    [[nodiscard]] bool is_active() const;
    /// It would run if there were room.
    [[nodiscard]] bool waits_for_room() const;
    [[nodiscard]] bool may_run_on(std::string_view node) const;
    friend bool operator==(const SlurmJob&, const SlurmJob&) = default;
};

/// When a job ran, in Slurm's words: whole seconds of the cluster's clock.
struct SlurmTimes {
    std::string state;
    std::int64_t start_unix_s = 0;  ///< 0: it has not started
    std::int64_t end_unix_s = 0;    ///< 0: not known; of one that runs, when its time is over
    friend bool operator==(const SlurmTimes&, const SlurmTimes&) = default;
};

/// Our jobs say whose they are.
struct SlurmMark {
    std::string host_id;
    std::string lease_id;  ///< empty: it measures cards
    std::int64_t lease_epoch = 0;
    friend bool operator==(const SlurmMark&, const SlurmMark&) = default;
};

/// "gpu:tesla:2(S:0-1),gpu:a100:1(IDX:0),shard:8", also with the prefixes "gres:" and "gres/".
[[nodiscard]] std::vector<SlurmGres> parse_gres(std::string_view text);
/// The output of `scontrol -d -o show node`.
[[nodiscard]] std::vector<SlurmNode> parse_nodes(std::string_view text);

/// What squeue's -O is given so that parse_jobs can read it.
extern const std::string_view squeue_format;
/// Throws std::runtime_error for a line of another form.
[[nodiscard]] std::vector<SlurmJob> parse_jobs(std::string_view text);
/// The output of `scontrol -o show job ID` with SLURM_TIME_FORMAT=%s; nothing when it is none.
[[nodiscard]] std::optional<SlurmTimes> parse_times(std::string_view text);

[[nodiscard]] std::string mark_text(const SlurmMark& mark);
[[nodiscard]] std::optional<SlurmMark> parse_mark(std::string_view comment);

/// Where a card is.
struct SlurmPlace {
    std::string uuid;
    std::string node;
    std::string model;
    std::int64_t index = 0;  ///< of those of its model on its node
    friend bool operator==(const SlurmPlace&, const SlurmPlace&) = default;
};

/// All cards of the nodes that are up, in a fixed order.
[[nodiscard]] std::vector<SlurmPlace> places_of(const std::string& cluster,
                                                const std::vector<SlurmNode>& nodes);

/// Whose jobs are ours.
struct SlurmSelf {
    std::int64_t uid = 0;
    std::string host_id;
};

/// What is remembered between two decisions.
struct ClusterHistory {
    /// Since when there has been room for a waiting job, as far as this host knows.
    std::map<std::string, std::int64_t> room_since_boot_ms;
};

/// The cluster's own jobs come first. A card is not offered while another's job has it; and while others'
/// jobs wait for room, so many cards as they ask for are kept back: free ones first, then leased ones,
/// which are taken back, the last ones first. One decision a place.
[[nodiscard]] std::vector<CardDecision> decide_for_cluster(const std::vector<SlurmPlace>& places,
                                                           const std::vector<bool>& is_leased,
                                                           const std::vector<SlurmNode>& nodes,
                                                           const std::vector<SlurmJob>& jobs,
                                                           const SlurmSelf& self, ClusterHistory& history,
                                                           std::int64_t now_boot_ms);

}  // namespace fallow::agent
