// The decisions of the agent, as a pure function: what should be, what is, and the time come in; what to do
// next comes out. No clock, no I/O. Called again after every change and on a timer, it needs no memory of
// its own: a lost message or a failed action only means that the same action comes out again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/lease.hpp"

namespace fallow::agent {

enum class ContainerState { created, running, paused, exited, unknown };

struct ContainerSeen {
    std::string id;
    std::string lease_id;
    std::int64_t lease_epoch = 0;
    ContainerState state = ContainerState::unknown;
};

/// A lease has four lanes, each doing one thing at a time: one talks to the container engine, one to the
/// server, one saves checkpoints and outputs, one looks how the job is.
struct LeaseSeen {
    LeaseRecord record;
    bool engine_lane_busy = false;
    bool server_lane_busy = false;
    bool preparing = false;  ///< what keeps the engine lane busy is `prepare`, which can be cancelled
    /// The lane that saves checkpoints, so that a long one keeps nothing else waiting.
    bool checkpoint_lane_busy = false;
    bool saving_running = false;   ///< what keeps it busy belongs to a running job, and can be cancelled
    bool watch_lane_busy = false;  ///< the lane that looks how the job is
    std::int64_t health_checked_boot_ms = 0;  ///< when the last check began
    std::int64_t health_failures = 0;         ///< in a row
    std::int64_t use_sampled_boot_ms = 0;     ///< up to when it is known how busy it was
    std::int64_t busy_boot_ms = 0;            ///< when it was last busy, or that was not known
    /// It was started just now, and the server is being told.
    bool telling_start = false;
    /// This process has made its container, and nothing has been done with that since.
    bool guest_is_fresh = false;
};

/// The owner wants a card for itself: see owner_desk.hpp. It goes before anything that the server wants.
struct OwnerClaim {
    std::string uuid;
    std::int64_t since_boot_ms = 0;
    bool takes_running = true;  ///< false: nothing new starts on it, what runs goes on
    bool at_once = false;       ///< without the notice
    friend bool operator==(const OwnerClaim&, const OwnerClaim&) = default;
};

/// A card whose memory guests have had since it was last overwritten.
struct UsedCard {
    std::string uuid;
    std::int64_t failures = 0;  ///< tries in a row to overwrite it
    std::string problem;        ///< of the last of them, in a sentence
    bool is_withheld = false;   ///< as the server knows since too many have failed
    std::int64_t next_try_boot_ms = 0;
    bool is_scrubbing = false;
    friend bool operator==(const UsedCard&, const UsedCard&) = default;
};

struct Observed {
    bool engine_reachable = false;  ///< when false, `containers` says nothing
    std::vector<ContainerSeen> containers;
    std::vector<LeaseSeen> leases;
    std::vector<OwnerClaim> claims;
    std::vector<UsedCard> used_cards = {};
    /// Send time of the last acknowledged heartbeat; 0: none.
    std::int64_t heartbeat_acknowledged_boot_ms = 0;
    /// Send time of the first one since the server was out of reach.
    std::int64_t contact_since_boot_ms = 0;
};

struct PlannerLimits {
    std::int64_t fenced_ms_max = 600'000;
};

enum class ActionKind {
    // Of the bookkeeping, done at once.
    adopt,           ///< make a record for a desired lease
    update,          ///< the record takes over the newer desired lease
    forget,          ///< drop the record
    cancel_prepare,  ///< interrupt the pull or download under way
    reclaim,         ///< note that the owner has taken a card of it, and until when it may run
    stop_own,        ///< note that what the job asked to be ended for has happened: `cause`
    abandon_scrub,   ///< interrupt `scrub`
    // Of a lane that each card has.
    scrub,  ///< overwrite the memory of `card_uuid`
    // Of the engine lane.
    prepare,       ///< pull, inputs, working storage, create
    fail_start,    ///< a deadline of the job's own has passed
    refuse_cards,  ///< one of them could not be overwritten after the guest before
    start,
    terminate,  ///< SIGTERM; `cause` says why
    kill,       ///< SIGKILL; `cause` says why
    resume,     ///< thaw what the fence froze
    record_exit,
    tell_restart,     ///< in its log, once that is sent: its container is started again
    ready_restart,    ///< give its container a process and its network anew
    give_up_restart,  ///< it ends as its container did; `cause` says why, none: it cannot be started
    remove,           ///< container and working storage
    remove_orphan,    ///< a container that belongs to no wanted lease
    discard,          ///< a lease taken from us: kill, remove, wipe and drop, with no word to the server
    // Of the server lane.
    report_accepted,
    report_gang,  ///< this host's end of the private network, once the container is made
    report_running,
    report_exited,
    report_failed,
    report_gone,
    report_reclaimed,
    state_usage,
    state_final_usage,
    upload_outputs,
    // Of the checkpoint lane.
    save_checkpoint,       ///< while the job runs
    save_last_checkpoint,  ///< of a job that was stopped, after its exit
    save_outputs,          ///< while the job runs
    cancel_checkpoint,     ///< interrupt what is saved of a running job: done at once
    // Of the watch lane.
    check_health,
    sample_use,
};
[[nodiscard]] std::string_view name_of(ActionKind kind);

struct Action {
    ActionKind kind;
    std::string lease_id;
    std::string container_id;  ///< of remove_orphan
    StopCause cause = StopCause::none;
    std::int64_t until_boot_ms = 0;  ///< of reclaim and terminate: when the notice or grace is over
    bool is_fresh = false;           ///< of start: the container was just seen or made, and has never run
    std::string card_uuid = {};      ///< of scrub and abandon_scrub, which are no lease's
    friend bool operator==(const Action&, const Action&) = default;
};

[[nodiscard]] bool is_live(const ContainerSeen* container);
/// The guest of a lease; null when there is none.
[[nodiscard]] const ContainerSeen* find_container(const Observed& observed, const LeaseRecord& record);

/// Whether a job can be prepared without the server: inputs, checkpoints and secrets are given out for an
/// accepted lease alone.
[[nodiscard]] bool needs_only_this_host(const JobSpec& spec);

/// `desired` is null until the server has told us once since the agent started; then the records alone say
/// what should be, their deadlines hold, and nothing counts as an orphan.
[[nodiscard]] std::vector<Action> reconcile(const Desired* desired, const Observed& observed,
                                            std::int64_t now_boot_ms, const PlannerLimits& limits);

}  // namespace fallow::agent
