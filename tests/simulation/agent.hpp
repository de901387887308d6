// A fallow-agent: the real planner and meter over virtual lanes. What LeaseTask does with a container
// engine and a server is done here with a Host and the virtual network, in the same order, so that a crash
// can come between an effect and its record.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "guard/book.hpp"
#include "simulation/host.hpp"
#include "simulation/server.hpp"

namespace fallow::sim {

class Agent final : public Process {
  public:
    Agent(World& world, Network& network, Machines& machines, Host& host, OrganizationId owner,
          std::vector<Server*> servers, Millis pinned_lost);

    /// The host restarted: what is on disk stays.
    void reboot_host();
    /// The owner at the machine takes one of its cards, or gives all back.
    void take_card(int index, bool at_once);
    void release_cards();

  protected:
    void on_boot() override;
    void on_killed() override;

  private:
    using Change = std::function<void(agent::LeaseRecord&)>;
    struct Lane {
        bool is_busy = false;
        agent::ActionKind doing{};
        bool is_cancelled = false;
    };
    struct Lanes {
        Lane engine;
        Lane server;
        Lane watch;
        // what the last of them has seen, as LeaseTask keeps it
        std::int64_t health_checked_boot_ms = 0;
        std::int64_t health_failures = 0;
        std::int64_t use_sampled_boot_ms = 0;
        std::int64_t busy_boot_ms = 0;
    };
    enum class Side { engine, server, watch };

    // the loops
    void heartbeat();
    void acknowledged(std::int64_t sent, const Beaten& beaten);
    void poll();
    void take_desired(const DesiredRows& rows, std::int64_t asked);
    void report_inventory();
    void reconcile();
    [[nodiscard]] agent::Observed observe();
    void carry_out(const agent::Action& action);
    void adopt(const agent::DesiredLease& lease);
    void update(const agent::DesiredLease& lease);
    [[nodiscard]] bool note_epoch(std::int64_t epoch);
    [[nodiscard]] agent::DesiredLease translated(const DesiredRow& row, const DesiredRows& rows) const;

    // the guard: a process of its own, which no fault stops
    void watch(const agent::LeaseRecord& record);
    void guard();
    void carry_out_due(const guard::Due& due);
    /// When it was thawed; nothing while the fence is down.
    std::optional<std::int64_t> thaw(const std::string& container);
    void heed_guard();
    void take_over(agent::LeaseRecord& record, const guard::Watched& watched);

    // a lane does one thing at a time
    [[nodiscard]] Lane& lane(Side side, const std::string& lease);
    void occupy(Side side, const agent::Action& action);
    void leave(Side side, const std::string& lease, bool has_failed = false);
    void engine_work(const agent::Action& action);
    void prepare(const std::string& lease);
    void create(const std::string& lease);
    void start(const std::string& lease, std::int64_t planned);
    void note_started(const std::string& lease, const Container& container);
    void resume(const std::string& lease);
    void record_exit(const std::string& lease);
    void remove(const std::string& lease, bool is_discarded);
    void server_work(const agent::Action& action);
    void report(const std::string& lease, market::AgentPhase phase, Change heard);
    void heard_report(const std::string& lease, market::AgentPhase phase, const Change& heard,
                      const Answer* answer);
    void state_usage(const std::string& lease, bool is_final);
    void heard_usage(const std::string& lease, bool is_final, const Answer* answer);
    void read_nonce(const std::string& lease);
    void watch_work(const agent::Action& action);
    void check_health(Lanes& lanes, const Container& container);
    void sample_use(Lanes& lanes, const Container& container);

    void request(const market::Command& command, std::function<void(const Answer*)> then);
    [[nodiscard]] Server& any_server() { return *world_.random.pick(servers_); }
    [[nodiscard]] std::int64_t now() const { return host_.boot_clock(); }
    agent::LeaseRecord* find(const std::string& lease);
    void change(const std::string& lease, const Change& change);

    Network& network_;
    Machines& machines_;
    Host& host_;
    const market::Caller caller_;
    std::vector<Server*> servers_;
    std::size_t beat_server_ = 0;  ///< another one is tried when it does not acknowledge
    const Millis pinned_lost_;

    // on disk
    std::map<std::string, agent::LeaseRecord> records_;
    std::map<std::string, agent::OwnerClaim> claims_;                      ///< by uuid
    std::map<std::string, std::optional<std::int64_t>> egress_bytes_max_;  ///< by lease
    std::int64_t highest_epoch_ = 0;
    std::int64_t acknowledged_ = 0;

    const agent::PlannerLimits limits_;

    // the guard's, lost with the host alone
    guard::Book book_{limits_.fenced_ms_max};

    // gone with the process
    std::map<std::string, Lanes> lanes_;
    std::optional<agent::Desired> desired_;
    std::string version_;
    std::uint64_t poll_ = 0;
    std::int64_t server_offset_ = 0;
    std::int64_t contact_since_ = 0;
    bool is_telling_inventory_ = false;
    bool is_inventory_old_ = false;  ///< changed since it was sent
    std::int64_t asked_about_ = 0;   ///< the freeze that the server was asked about last
};

}  // namespace fallow::sim
