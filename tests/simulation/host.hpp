// A seller's machine: its boot clock, its containers, and the guard that freezes them. This is the truth
// that the auditor compares the market's rows with: what really ran, and for how long.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "agent/planner.hpp"
#include "market/commands.hpp"
#include "simulation/world.hpp"

namespace fallow::sim {

/// The exit code after which every job here asks to be tried again.
inline constexpr std::int32_t exit_code_temporary = 75;

/// How a job's program behaves; the auditor and the host know, the market does not.
struct Program {
    Millis work;  ///< until it exits by itself
    std::int32_t exit_code = 0;
    bool runs_out_of_memory = false;
    bool has_no_image = false;
    bool cannot_start = false;
    bool ignores_sigterm = false;
    Millis pull = Millis(500);
    std::int64_t sends_bytes_per_ms = 0;  ///< as long as its host's gate lets it
    /// What its job has asked to be ended for, and after how long a run it is so, if ever.
    bool has_health_check = false;
    std::optional<Millis> sickens_after = std::nullopt;
    bool is_ended_when_idle = false;
    std::optional<Millis> idles_after = std::nullopt;
};

struct Container {
    std::string id;
    std::string lease;
    std::int64_t epoch = 0;
    std::string job;
    Program program;
    agent::ContainerState state = agent::ContainerState::created;
    Millis ran;  ///< unfrozen, up to `since`
    Time since;  ///< when it began to run, or was thawed
    int freezes = 0;
    bool saw_reboot = false;
    Time started_at;
    Time finished_at;
    std::int32_t exit_code = 0;
    std::uint64_t turn = 0;  ///< tells its planned exit from one that was put off by a freeze
    std::optional<std::int64_t> egress_bytes_max;

    [[nodiscard]] bool was_started() const { return started_at.ms != 0; }
    [[nodiscard]] Millis ran_until(Time now) const {
        return state == agent::ContainerState::running ? ran + (now - since) : ran;
    }
    [[nodiscard]] std::int64_t sent_until(Time now) const {
        const std::int64_t tried = ran_until(now).count * program.sends_bytes_per_ms;
        return std::min(tried, egress_bytes_max.value_or(tried));
    }
};

/// What all hosts share.
struct Machines {
    std::map<std::string, Program> plans;                   ///< by the job's document
    std::map<std::string, Program> programs;                ///< by job id, once it is in the database
    std::map<std::string, std::set<std::string>> unfrozen;  ///< containers that compute, by job
    std::map<std::string, Container> containers;            ///< every one there ever was, by id
    std::set<std::string> uploads;                          ///< leases whose outputs arrived
};

class Host {
  public:
    Host(World& world, Machines& machines, HostId host, std::string host_name, int card_count)
        : id_(host), name_(std::move(host_name)), cards_(card_count), world_(world), machines_(machines) {}
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    [[nodiscard]] HostId id() const { return id_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] int cards() const { return cards_; }
    Line line;
    /// Its agent states three times what ran, and what was sent.
    bool is_lying = false;
    /// Its agent is too old to say what was sent.
    bool is_old = false;
    bool engine_is_stuck = false;

    [[nodiscard]] std::int64_t boot_clock() const { return (world_.now() - booted_at_).count; }
    [[nodiscard]] std::string boot_id() const { return "boot-" + std::to_string(boots_); }

    [[nodiscard]] std::vector<agent::ContainerSeen> list() const;
    [[nodiscard]] Container* find(const std::string& id);
    std::string create(const std::string& lease, std::int64_t epoch, const std::string& job);
    void start(const std::string& id);
    void terminate(const std::string& id);
    void kill(const std::string& id);
    /// False when it does not run.
    bool freeze(const std::string& id);
    void thaw(const std::string& id);
    void remove(const std::string& id);
    /// Everything that runs ends, and the boot clock begins anew.
    void reboot();

  private:
    void run(Container& container);
    void rest(Container& container);
    void exit(Container& container, std::int32_t code);
    void plan_exit(Container& container);

    const HostId id_;
    const std::string name_;
    const int cards_;
    World& world_;
    Machines& machines_;
    std::set<std::string> here_;
    Time booted_at_{1'800'000'000'000 - 60'000};
    int boots_ = 1;
};

}  // namespace fallow::sim
