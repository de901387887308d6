// One lease on this host: its record, its four lanes, its log shipper. It carries out the planner's
// actions and decides nothing; every fact it brings about is on disk before the next action is planned.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/checkpoint.hpp"
#include "agent/cpu_use.hpp"
#include "agent/crypto.hpp"
#include "agent/guard_link.hpp"
#include "agent/lane.hpp"
#include "agent/lease.hpp"
#include "agent/log_shipper.hpp"
#include "agent/output_saver.hpp"
#include "agent/planner.hpp"
#include "agent/runtime.hpp"
#include "agent/server_link.hpp"
#include "agent/state.hpp"
#include "agent/storage.hpp"
#include "agent/transfer_progress.hpp"

namespace fallow::agent {

class GangTunnels;

/// What every lease of a host shares. References outlive the tasks.
struct TaskContext {
    const StateFolder& state;
    const PrivateKey& signing_key;
    GuardLink& guard;
    ConnectRuntime connect;
    StorageKind storage = StorageKind::tmpfs;
    std::string boot_id;
    std::function<std::int64_t()> server_unix_ms;
    std::function<void()> wake;  ///< plan again soon
    /// How busy cards are that are no processors, in percent; nothing when it is not known. Any thread.
    std::function<std::optional<std::int64_t>(const std::vector<LeaseCard>&)> card_use = {};
    std::shared_ptr<GangTunnels> gangs = {};  ///< nothing: this host offers gangs no private network
    std::shared_ptr<ProgressBook> progress = std::make_shared<ProgressBook>();
    std::shared_ptr<IdleConnections> connections = std::make_shared<IdleConnections>();  ///< to the server
    /// A guest is about to start on these cards; nothing where nobody has to know.
    std::function<void(const std::vector<LeaseCard>&)> before_guest = {};
};

class LeaseTask {
  public:
    /// For a lease new to this host, or for one found on disk.
    LeaseTask(const TaskContext& context, LeaseRecord record);
    ~LeaseTask();
    LeaseTask(const LeaseTask&) = delete;
    LeaseTask& operator=(const LeaseTask&) = delete;

    [[nodiscard]] LeaseSeen seen() const;
    [[nodiscard]] bool is_discarded() const { return discarded_; }

    void carry_out(const Action& action);
    void update(const DesiredLease& desired);
    /// The owner has taken a card of it, and it may run until then at the longest.
    void reclaim(std::int64_t until_boot_ms);
    /// Takes over what the guard did to the container, or has it watched if the guard does not know of it.
    void heed_guard(const std::vector<guard::Watched>& all);

  private:
    using Change = std::function<void(LeaseRecord&)>;

    [[nodiscard]] LeaseRecord record() const;
    /// One that is not `synced` outlives this process, but perhaps not the host's power.
    LeaseRecord change(const Change& change, bool synced = true);
    [[nodiscard]] OnProgress note_progress() const;

    // The engine's lane.
    void prepare(std::stop_token stop);
    /// What is made while the engine looks for the image and makes the container.
    struct Beside {
        std::future<void> storage;
        std::future<void> network;
    };
    void make_guest(const ImageFacts& image, Beside beside, std::stop_token stop);
    [[nodiscard]] std::future<void> make_storage();
    [[nodiscard]] bool is_connected_first(const JobSpec& spec) const;
    [[nodiscard]] std::future<void> ready_network();
    void fill_storage(DesiredLease& lease, std::stop_token stop);
    void note_deadlines(bool has_image);
    [[nodiscard]] ImageFacts obtain_image(const JobSpec& spec, std::stop_token stop);
    [[nodiscard]] std::string fetch_registry_auth(const JobSpec& spec, std::stop_token stop);
    void fetch_secrets(std::stop_token stop);
    void fail_start();
    void refuse_cards();
    void start(std::int64_t planned_boot_ms, bool is_fresh);
    [[nodiscard]] bool is_to_be_started(const std::string& id);
    void start_over(const std::string& id);
    void note_started(const ContainerInspection& inspection, bool just_now);
    void terminate(StopCause cause, std::int64_t until_boot_ms);
    void write_notice(StopCause cause, std::int64_t until_boot_ms);
    void kill(StopCause cause);
    void resume();
    void attach_outputs();
    void record_exit();
    [[nodiscard]] ContainerExit exit_of(const std::optional<ContainerInspection>& inspection,
                                        std::int64_t oom_kills) const;
    // Of one that is started again.
    void await_restart(LeaseRecord& r, const ContainerExit& exit, std::int64_t finished_unix_ms);
    void tell_restart();
    [[nodiscard]] bool is_before_restart(const ContainerInspection& inspection) const;
    void ready_restart();
    void give_up_restart(StopCause cause);
    void remove();
    void discard();
    void tell_server(ActionKind kind);
    void fail(const char* reason, const std::string& detail);

    // The server's lane.
    void report(const char* phase, const Change& acknowledged);
    void say(const char* phase, bool LeaseRecord::*reported);
    void report_accepted();
    void report_running();
    void report_reclaimed();
    void report_gone();
    void state_usage(bool is_final);
    void read_nonce();
    void upload();
    void save_outputs(std::stop_token stop);

    // The checkpoints' lane.
    void save_checkpoint(bool is_last, std::stop_token stop);
    void report_checkpoint_problem(const std::string& problem);

    // The watch lane.
    void check_health(std::stop_token stop);
    void sample_use();
    [[nodiscard]] std::optional<std::int64_t> use_percent();
    void stop_own(StopCause cause);
    void forget_looks();

    // What its guests send to the internet.
    [[nodiscard]] static TrafficTerms traffic_terms(const LeaseRecord& r);
    void meter_traffic();
    [[nodiscard]] GuestTraffic look_at_traffic();
    [[nodiscard]] std::optional<TrafficNotice> due_notice();
    void forget_traffic();

    // The private network of its gang.
    [[nodiscard]] std::filesystem::path gang_key_file() const;
    void prepare_gang(DesiredLease& lease, GuestFolders& folders);
    void report_gang();
    [[nodiscard]] bool join_gang(const std::string& container_id);
    void leave_gang();

    void watch(const std::optional<ContainerInspection>& inspection);
    void ask_guard();
    void take_over(const guard::Watched& watched);
    void end_at_guard();
    void ship_logs(bool has_just_started);

    const TaskContext& context_;
    mutable std::mutex mutex_;
    LeaseRecord record_;
    WorkingStorage storage_;
    std::atomic<bool> discarded_ = false;
    std::atomic<bool> guest_is_fresh_ = false;   ///< set by the engine's lane alone
    std::unique_ptr<Runtime> runtime_;           ///< of the engine's lane, but for what any thread may ask
    ServerLink server_;                          ///< of the server's lane
    ServerLink inputs_;                          ///< of the engine's lane, for downloads
    ServerLink checkpoints_;                     ///< of the checkpoints' lane
    std::unique_ptr<CheckpointSaver> saver_;     ///< of that lane, made when it first saves
    std::unique_ptr<OutputSaver> output_saver_;  ///< of that lane, too
    std::unique_ptr<Runtime> looking_runtime_;   ///< of the watch lane, made when it first looks
    CpuUse cpu_use_;                             ///< of that lane
    /// What that lane has seen of the job, since this agent began to look.
    struct Looks {
        std::int64_t health_checked_boot_ms = 0;
        std::int64_t health_failures = 0;
        std::int64_t use_sampled_boot_ms = 0;
        std::int64_t busy_boot_ms = 0;
        std::int64_t forgotten_boot_ms = 0;  ///< what began before counts for nothing
    };
    Looks looks_;                              ///< under the mutex
    std::unique_ptr<LogShipper> log_shipper_;  ///< touched by the engine's lane and at construction only
    std::unique_ptr<Lane> engine_lane_;
    std::unique_ptr<Lane> server_lane_;
    std::unique_ptr<Lane> checkpoint_lane_;
    std::unique_ptr<Lane> watch_lane_;
};

}  // namespace fallow::agent
