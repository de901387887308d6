// What the server wants of a lease (DesiredLease) and what this host has done for it so far (LeaseRecord).
// Plain values. The record is the agent's only memory of a lease: it is on disk before an effect is relied
// on, so that an agent killed at any moment goes on from it.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/meter.hpp"

namespace fallow::agent {

struct JobInput {
    std::string path;
    std::string artifact_id;
    friend bool operator==(const JobInput&, const JobInput&) = default;
};

/// A folder below /work/out that is saved while the job runs, and restored for its next attempt.
struct CheckpointSpec {
    std::string path;
    std::int64_t interval_ms = 0;
    std::int64_t bytes_max = 0;
    friend bool operator==(const CheckpointSpec&, const CheckpointSpec&) = default;
};

/// A command that is run in the container again and again: so many failures in a row, and it is ended.
struct HealthSpec {
    std::vector<std::string> command;
    std::int64_t interval_ms = 0;
    std::int64_t timeout_ms = 0;
    std::int64_t start_period_ms = 0;  ///< in which a failure does not count
    std::int64_t retries = 0;
    friend bool operator==(const HealthSpec&, const HealthSpec&) = default;
};

/// It is ended when it has used less than so much of its cards, or of its cores, for so long.
struct IdleSpec {
    std::int64_t below_percent = 0;
    std::int64_t for_ms = 0;
    friend bool operator==(const IdleSpec&, const IdleSpec&) = default;
};

/// After which ends its command is started again in the same lease.
struct RestartSpec {
    std::vector<std::int64_t> exit_codes;  ///< none: all but 0, and not out of memory
    std::int64_t restarts_max = 0;
    std::int64_t delay_ms = 0;  ///< before the first; it doubles with each
    friend bool operator==(const RestartSpec&, const RestartSpec&) = default;
};

/// One host's end of a gang's private network.
struct GangMember {
    std::int64_t rank = 0;
    std::string public_key;
    std::string endpoint;
    friend bool operator==(const GangMember&, const GangMember&) = default;
};

/// Which of several leases of an order it is, and the ends that are known so far.
struct Gang {
    std::int64_t rank = 0;
    std::int64_t hosts = 0;
    std::vector<GangMember> members;
    [[nodiscard]] bool is_whole() const { return std::ssize(members) == hosts; }
    friend bool operator==(const Gang&, const Gang&) = default;
};

struct JobSpec {
    std::string image;
    std::vector<std::string> command;
    std::map<std::string, std::string> env;
    std::vector<JobInput> inputs;
    std::vector<std::string> outputs;
    std::int64_t max_duration_ms = 0;
    std::int64_t memory_bytes = 0;
    std::int64_t cpu_millis = 0;
    std::int64_t pids_max = 0;
    std::int64_t disk_bytes = 0;
    std::optional<CheckpointSpec> checkpoint;
    std::vector<std::string> secrets;     ///< names
    std::int64_t output_interval_ms = 0;  ///< how often outputs are saved while it runs; 0: never
    std::int64_t shm_bytes = 0;           ///< of /dev/shm; 0: as much as is usual here
    std::int64_t pull_timeout_ms = 0;     ///< 0: as long as the server waits
    std::int64_t start_timeout_ms = 0;
    std::vector<std::int64_t> retry_exit_codes;  ///< which the job calls temporary
    std::optional<HealthSpec> health;
    std::optional<IdleSpec> idle;
    std::string registry_secret = {};  ///< the name of what the image is pulled with; empty: none
    bool has_gang_network = false;     ///< its containers on several hosts reach each other
    std::optional<RestartSpec> restart = {};
    friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

struct LeaseCard {
    std::string card_id;
    std::string uuid;
    std::string backend;       ///< "nvml", "opencl" or "amdgpu"
    std::string device_class;  ///< "gpu", "cpu" or "accelerator"
    std::int64_t index = 0;
    friend bool operator==(const LeaseCard&, const LeaseCard&) = default;
};

/// As a device of their own. Others are the processor, whose pages the kernel clears before anybody gets
/// them, or no engine can name them.
[[nodiscard]] bool is_given_to_guests(std::string_view backend);

/// One lease as the server wants it. Its server-clock deadlines have been turned into boot-clock ones.
struct DesiredLease {
    std::string lease_id;
    std::int64_t lease_epoch = 0;
    bool run = false;  ///< want "run"; else "stop"
    std::string stop_reason;
    /// Once a stop is wanted: when its grace is over. The server gives what is left of it, so every reply
    /// says the same moment in other words. At or before now: no grace.
    std::int64_t grace_until_boot_ms = 0;
    std::int64_t attempt = 0;
    std::string job_id;
    std::optional<JobSpec> spec;
    std::vector<LeaseCard> cards;
    std::map<std::string, std::string> environment;  ///< what the server adds to the job's variables
    std::string nonce;
    std::int64_t usage_sequence = 0;  ///< the last one the server accepted
    std::optional<std::int64_t> paid_until_boot_ms;
    std::optional<std::int64_t> run_until_boot_ms;
    std::optional<std::int64_t> max_duration_ms;
    std::int64_t usage_interval_ms = 30'000;
    /// From the send time of the last acknowledged heartbeat to the freeze: the server knows from when on
    /// the cards may be given to somebody else, which is late for a rental that it pins.
    std::int64_t fence_ms = 10'000;
    /// What the owner who takes a card back gives the renter, whether the server can be asked or not.
    std::int64_t reclaim_notice_ms = 60'000;
    std::int64_t price_micros_per_hour = 0;        ///< of a card
    std::int64_t thousandths = 0;                  ///< of all its cards together
    std::optional<std::int64_t> egress_bytes_max;  ///< that its guests may send out; nothing: any number
    std::optional<Gang> gang;
    friend bool operator==(const DesiredLease&, const DesiredLease&) = default;
};

struct Desired {
    std::string version;
    std::int64_t epoch = 0;
    std::int64_t asked_boot_ms = 0;  ///< when the request was sent: what is said is not older than that
    std::vector<DesiredLease> leases;
};

struct ContainerExit {
    std::int64_t exit_code = 0;
    bool oom_killed = false;
    bool duration_exceeded = false;
    bool is_temporary = false;  ///< the job wants to be tried again after such a code
    friend bool operator==(const ContainerExit&, const ContainerExit&) = default;
};

/// Its container has ended by itself, and is to be started again.
struct AwaitedRestart {
    ContainerExit after;                ///< and what the lease ends with when it is not
    std::int64_t finished_unix_ms = 0;  ///< the engine's word of that end, which tells it from a later one
    std::int64_t due_boot_ms = 0;
    std::string line;       ///< that its log gets after its output; empty: it has it
    bool is_ready = false;  ///< it has its network again
    friend bool operator==(const AwaitedRestart&, const AwaitedRestart&) = default;
};

struct LeaseFailure {
    std::string reason;  ///< "image_pull_failed", "start_failed" or "start_timeout"
    std::string detail;
    friend bool operator==(const LeaseFailure&, const LeaseFailure&) = default;
};

enum class StopCause {
    none,
    wanted,
    duration,
    run_until,
    paid_until,
    fenced_too_long,
    reclaimed,
    unhealthy,
    idle
};
[[nodiscard]] std::string_view name_of(StopCause cause);
[[nodiscard]] StopCause stop_cause_named(std::string_view name);

struct LeaseRecord {
    DesiredLease desired;
    std::string boot_id;  ///< every boot-clock time in here belongs to it

    // What has been done on the host, in this order.
    std::vector<std::string> outputs;          ///< kept from the spec: a stopped lease may come without one
    std::optional<CheckpointSpec> checkpoint;  ///< kept from the spec as well
    std::int64_t prepare_boot_ms = 0;          ///< when the job's own deadlines began; 0: it has none
    std::int64_t image_boot_ms = 0;            ///< when its image was here
    std::string container_id;                  ///< created
    bool connected = false;                    ///< it has its network, or gets none
    std::string gang_public_key;               ///< of this host's end; its private one is in a file
    std::int64_t gang_port = 0;
    std::string gang_endpoint;
    bool started = false;
    std::int64_t started_boot_ms = 0;
    StopCause stop_cause = StopCause::none;
    std::int64_t terminated_boot_ms = 0;  ///< when SIGTERM was sent; 0: not yet
    bool kill_sent = false;
    std::int64_t paused_boot_ms = 0;  ///< when the fence froze it; 0: it is not frozen
    /// The owner has taken a card of it: when the notice is over. It never starts again, whatever the
    /// server wants and whether the card is given back meanwhile.
    std::optional<std::int64_t> reclaim_until_boot_ms;
    /// What the job asked to be ended for has happened: unhealthy or idle, and when that was seen.
    StopCause own_stop = StopCause::none;
    std::int64_t own_stop_boot_ms = 0;
    std::optional<AwaitedRestart> restart;
    std::int64_t restarts = 0;    ///< how often its container was started again
    std::int64_t earlier_ms = 0;  ///< that it ran before the last of them
    std::int64_t oom_kills = 0;   ///< in the kernel's log, of before that
    std::optional<ContainerExit> exit;
    std::optional<LeaseFailure> failure;
    bool logs_drained = false;
    bool outputs_uploaded = false;
    std::int64_t checkpoint_boot_ms = 0;  ///< when the last save began while it ran; 0: none yet
    bool checkpoint_saved = false;        ///< after the exit, for the last time
    std::int64_t outputs_boot_ms = 0;     ///< when outputs were saved last while it ran; 0: not yet
    bool removed = false;                 ///< container removed and working storage wiped

    // What the server has acknowledged.
    bool accepted = false;
    bool gang_reported = false;
    bool running_reported = false;
    std::int64_t restarts_reported = 0;
    bool reclaim_reported = false;
    bool final_usage_stated = false;
    bool exit_reported = false;
    bool failure_reported = false;
    bool gone_reported = false;

    Meter meter;
    std::string nonce;
    std::int64_t usage_sequence = 0;  ///< the last one the server accepted
    std::int64_t stated_ms = 0;       ///< running_ms of the last statement sent, accepted or not
    std::int64_t usage_stated_boot_ms = 0;
    std::int64_t egress_bytes = 0;  ///< sent by all its guests, as counted last
    /// From the last accepted statement. The later of this and the desired one holds: which of the two
    /// replies is the newer one is not known, and money that is paid stays paid.
    std::int64_t paid_until_boot_ms = 0;

    friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};

/// It is to run, as far as the server and the owner are concerned.
[[nodiscard]] bool is_wanted(const LeaseRecord& record);

/// Its container has to wait: not all hosts of its gang are ready, or this one has not said so.
[[nodiscard]] bool awaits_gang(const LeaseRecord& record);

}  // namespace fallow::agent
