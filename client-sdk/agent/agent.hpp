// The agent of a seller's host: says what the host has and does, hears what it should do, and makes it so.
//
// It is level-triggered: planner.hpp decides from what should be and what is, lease_task.hpp carries out,
// and a lost message or a killed agent costs a delay and nothing else. It is not the authority on anything:
// prices, ends and money are the server's; what it states of running time is signed and bounded by the
// server's own clock.
//
// Threads: the heartbeat, the long-poll for the desired state, the inventory, the owner's socket and
// policy, telemetry's (telemetry.hpp), progress's (progress_reporter.hpp), and the reconcile loop (the
// caller's); besides four lanes per lease.
// The fence is none of them but a process of its own (guard/).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/card_keeper.hpp"
#include "agent/card_scrubber.hpp"
#include "agent/card_use.hpp"
#include "agent/crypto.hpp"
#include "agent/disk_speed.hpp"
#include "agent/guard_link.hpp"
#include "agent/inventory.hpp"
#include "agent/lease_task.hpp"
#include "agent/link_turns.hpp"
#include "agent/network_gate.hpp"
#include "agent/network_speed.hpp"
#include "agent/owner_desk.hpp"
#include "agent/owner_policy.hpp"
#include "agent/owner_sampler.hpp"
#include "agent/owner_socket.hpp"
#include "agent/owner_words.hpp"
#include "agent/planner.hpp"
#include "agent/return_policy.hpp"
#include "agent/runtime.hpp"
#include "agent/slurm_cards.hpp"
#include "agent/state.hpp"
#include "agent/tunnel_desk.hpp"

namespace fallow::agent {

struct AgentOptions {
    std::string state_folder;
    std::string engine_socket = "/run/podman/podman.sock";
    std::string runtime;  ///< OCI; empty: what the engine takes
    bool user_namespace = true;
    std::optional<StorageKind> storage;  ///< empty: the best that works here
    ProbeOptions probe;
    std::int64_t verify_every_ms = 24LL * 3600 * 1000;
    bool measures = true;  ///< else cards are reported with what they proved before
    PlannerLimits limits;
    std::string rack;  ///< empty: not said
    std::string
        slurm_partition;        ///< empty: the cards of this host; the engine's socket is each node's then
    std::string slurm_program;  ///< fallow-agent as the nodes see it
    std::string policy_file;    ///< empty: every card is offered until the owner takes it
    std::string metrics_address;  ///< a loopback address and port; empty: none
    std::string gang_endpoint;    ///< where other hosts reach this one; empty: no private network for gangs
    std::vector<std::string> gang_peers;  ///< private networks in which those hosts may be
    bool gang_wireguard_go = false;       ///< although the kernel could
    /// After the start, within which the network is measured first.
    std::int64_t network_spread_ms = 3600LL * 1000;
};

class GangTunnels;
class ProgressReporter;
class Telemetry;
struct MeasuredLease;

class Agent {
  public:
    /// Throws when the host is not enrolled or another agent has the state folder.
    explicit Agent(AgentOptions options);
    ~Agent();
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    /// Until `stop`. Containers are left running: the next agent takes them over.
    void run(std::stop_token stop);

  private:
    void run_heartbeat(std::stop_token stop);
    struct Rhythm {
        std::int64_t interval_ms = 5000;
        std::int64_t idle_interval_ms = 5000;  ///< and the timeout, while there is no lease
        std::int64_t timeout_ms = 2000;
    };
    void beat(ServerLink& server, std::int64_t timeout_ms, Rhythm& rhythm);
    [[nodiscard]] std::int64_t next_try_ms(Failure failure, int in_a_row);
    void run_desired(std::stop_token stop);
    void await_contact(Failure failure, std::stop_token stop);
    [[nodiscard]] bool asked_to_poll_at_once();
    [[nodiscard]] bool has_lease();
    [[nodiscard]] bool has_guest();
    [[nodiscard]] bool has_waiting_gang();
    void poll_at_once();
    void heed_guard(const std::vector<std::shared_ptr<LeaseTask>>& tasks);
    void ask_about_frozen(const std::vector<std::shared_ptr<LeaseTask>>& tasks);
    void take_desired(Desired desired);
    [[nodiscard]] std::optional<LeaseRecord> find_lease(const std::string& lease_id);
    void run_inventory(std::stop_token stop);
    [[nodiscard]] bool is_in_use(const CardFacts& card);
    [[nodiscard]] std::int64_t find_cards(std::stop_token stop);
    void send_inventory(ServerLink& server);
    [[nodiscard]] bool measure_disk(std::stop_token stop);
    [[nodiscard]] bool wait_for_offers(std::int64_t ms, std::stop_token stop);
    void rest(ServerLink& server, std::int64_t ms, std::stop_token stop);

    [[nodiscard]] std::string answer_owner(const std::string& line, std::int64_t peer_pid);
    void take_card(const OwnerQuestion& question, std::int64_t peer_pid);
    void release_ended_owners();
    void claims_changed();
    [[nodiscard]] Observed owners_view() const;
    [[nodiscard]] std::vector<CardStatus> card_status();
    [[nodiscard]] std::vector<CardStatus> cards_and_leases(const std::vector<LeaseSeen>& leases) const;
    [[nodiscard]] std::map<std::string, std::string> withheld_cards();
    void run_policy(std::stop_token stop);
    void wait_for_policy(std::stop_token stop);
    void apply_policy(UseSampler& sampler, std::map<std::string, CardHistory>& histories);
    void take_decisions(const std::vector<CardFacts>& cards, const std::vector<CardDecision>& decisions);
    [[nodiscard]] std::vector<OwnerClaim> claims() const;
    [[nodiscard]] std::vector<CardFacts> known_cards();
    [[nodiscard]] std::vector<UsedCard> used_cards() const;
    [[nodiscard]] std::unique_ptr<CardScrubber> make_scrubber();

    [[nodiscard]] std::vector<MeasuredLease> running_leases(const Runtime& runtime);
    [[nodiscard]] std::unique_ptr<Telemetry> make_telemetry();
    [[nodiscard]] std::unique_ptr<ProgressReporter> make_progress_reporter();

    void reach_engine(std::stop_token stop);
    void open_gate();
    void open_gangs();
    void close_gate();
    void describe_guests(HostDescription& host);
    [[nodiscard]] ConnectRuntime reach_runtime();
    [[nodiscard]] ConnectRuntime reach_cluster();
    [[nodiscard]] std::vector<SlurmPlace> apply_cluster_policy(ClusterHistory& history);
    void run_cluster_policy(std::stop_token stop);
    void describe_cluster(HostDescription& host) const;
    void take_over();
    void reconcile_once();
    [[nodiscard]] Observed recall();
    [[nodiscard]] bool needs_look(const Desired* desired, const std::set<std::string>& begun);
    [[nodiscard]] Observed observe(bool looks);
    void begin(const std::set<std::string>& lease_ids, const Desired* desired, Observed observed);
    [[nodiscard]] std::set<std::string> hurry(const Desired* desired);
    void try_to(const Action& action, const Desired* desired);
    void carry_out(const Action& action, const Desired* desired);
    void adopt(const DesiredLease& lease);
    bool note_epoch(std::int64_t epoch);
    [[nodiscard]] std::vector<LeasePhase> phases();
    [[nodiscard]] std::int64_t server_unix_ms() const;
    void wake();
    void wait(std::int64_t ms, std::stop_token stop);
    void wait_to_beat(std::int64_t ms, std::stop_token stop);
    void beat_at_once();
    void beat_later(std::int64_t ms);

    AgentOptions options_;
    StateFolder state_;
    std::string host_id_;
    PrivateKey signing_key_;
    std::string boot_id_;
    OwnerDesk desk_;
    const std::optional<OwnerPolicy> policy_;
    ConnectRuntime connect_;             ///< once the engine was reached
    std::unique_ptr<Runtime> runtime_;   ///< of the reconcile loop
    std::string engine_name_;            ///< "podman 4.3.1"
    std::string runtime_name_ = "runc";  ///< the OCI runtime that guests run under
    std::shared_ptr<NetworkGate> gate_;  ///< nothing: guests have no network, by the owner's word
    bool guests_have_network_ = false;
    bool gate_is_open_ = true;  ///< false: it could not be, at the last try; of the inventory's loop
    std::shared_ptr<GangTunnels> gangs_;  ///< nothing: gangs have no private network here
    GuardLink guard_;
    std::unique_ptr<SlurmCluster> cluster_;      ///< with --slurm-partition
    std::unique_ptr<SlurmCards> cluster_cards_;  ///< with it
    std::atomic<bool> cluster_changed_ = false;  ///< other nodes are up than the inventory has
    CardKeeper keeper_;
    DiskKeeper disk_;
    NetworkKeeper network_;
    std::unique_ptr<TaskContext> context_;
    std::unique_ptr<ServerLink> link_;  ///< of long-polls, and of heartbeats while there is no lease
    LinkTurns turns_;
    std::atomic<std::int64_t> idle_return_ms_ = idle_return_ms_unknown;

    std::mutex mutex_;
    std::condition_variable_any changed_;
    bool awake_ = false;
    std::shared_ptr<const Desired> desired_;
    std::int64_t highest_epoch_ = 0;
    std::int64_t acknowledged_boot_ms_ = 0;
    std::int64_t contact_since_boot_ms_ = 0;  ///< the first heartbeat since the server was out of reach
    std::int64_t asked_about_boot_ms_ = 0;    ///< the latest freeze that the server was asked about
    bool beat_at_once_ = false;
    std::int64_t beat_due_boot_ms_ = 0;
    bool poll_at_once_ = true;                       ///< the next long-poll asks for an answer at once
    std::stop_source poll_stop_;                     ///< of the long-poll under way
    std::atomic<std::int64_t> server_offset_ms_;     ///< server's clock less the boot clock
    bool engine_was_reachable_ = true;               ///< of the reconcile loop, as the next two
    std::int64_t looked_boot_ms_ = 0;                ///< when its containers were seen last; 0: not yet
    std::vector<ContainerSeen> containers_;          ///< as they were then
    bool guard_was_reachable_ = true;                ///< of the reconcile loop
    std::vector<CardFacts> cards_;                   ///< of the last inventory
    std::map<std::string, CardDecision> decisions_;  ///< of the policy, by uuid
    std::map<std::string, std::int64_t> taken_back_since_;  ///< by the policy, on the boot clock
    std::uint64_t claims_made_ = 0;
    std::uint64_t claims_heeded_ = 0;         ///< claims_made_ when the last whole round began
    bool offers_changed_ = false;             ///< since the inventory was sent
    std::unique_ptr<CardUse> card_use_;       ///< asked by the tasks
    std::unique_ptr<CardScrubber> scrubber_;  ///< told by them; null with a cluster
    std::map<std::string, std::shared_ptr<LeaseTask>> tasks_;  // their threads use all of the above
    std::unique_ptr<TunnelDesk> tunnels_;  ///< of the long-poll, and its threads use the tasks
};

/// "accepted", "running", "exited", "failed" or "gone"; nothing before the lease was accepted.
[[nodiscard]] std::string phase_of(const LeaseRecord& record);

}  // namespace fallow::agent
