// Knows the promises and nothing of the code that keeps them: it reads the virtual database's rows and
// journal, the containers' truth and what callers were told, and throws a Violation that names the rule.
#pragma once

#include <map>
#include <set>
#include <string>

#include "simulation/database.hpp"
#include "simulation/host.hpp"
#include "simulation/server.hpp"

namespace fallow::sim {

class Auditor {
  public:
    Auditor(World& world, Database& database, Machines& machines, const market::Rules& rules)
        : world_(world), database_(database), machines_(machines), rules_(rules) {}

    /// After every transaction.
    void committed(const engine::Batch& batch);
    /// A caller was given its answer.
    void answered(const engine::IdempotencyKey& key, const Answer& answer);
    /// A heartbeat has reached the leader, whatever it answered.
    void heard(HostId host) { heard_[host].push_back(world_.now()); }
    /// A database that refuses by a constraint of its own is the world's doing; else it is the engine's.
    void expect_quarantine() { may_quarantine_ = true; }
    void add_host(Host& host) { hosts_[host.id()] = &host; }
    /// All is well again and had time: nobody who was not killed owes an answer.
    static void check_answered(const std::vector<std::unique_ptr<Server>>& servers);
    /// Everything has had time to come to rest.
    void finish(const std::vector<std::unique_ptr<Server>>& servers);
    /// Whether anything is still on its way.
    [[nodiscard]] bool is_quiet() const;

    /// Leases by phase, for what a fault meets; those of one host, or of all.
    [[nodiscard]] std::map<std::string, int> phases(std::optional<HostId> host) const;

  private:
    void check_journal(const engine::Batch& batch);
    void check_transitions(const market::Changes& changes);
    void check_lost_hosts(const market::Changes& changes);
    void check_ledger() const;
    void check_cards() const;
    void check_lease(const market::Lease& lease) const;
    void check_maintenance(const market::Lease& lease) const;
    void check_spot(const market::Changes& changes);
    void check_bid(const market::Lease& lease) const;
    [[nodiscard]] Int128 numerator_of(const market::Lease& lease) const;
    void check_reservation(const market::Reservation& row) const;
    void check_bookings() const;
    void check_metering(const market::Lease& lease) const;
    void check_traffic(const market::Lease& lease) const;
    void check_traffic_of_jobs() const;
    void check_job(const market::Job& job) const;
    void check_own_ends() const;
    void check_attempts(const market::Job& job) const;
    void check_containers() const;
    void check_effects() const;
    void check_gangs() const;
    void check_standing_orders() const;
    [[nodiscard]] bool could_be_filled(const market::Order& order) const;
    [[nodiscard]] bool has_room(const market::Card& card, const market::Order& order) const;
    [[nodiscard]] bool could_serve(const market::Listing& listing, const market::Order& order) const;
    [[nodiscard]] std::int64_t balance(OrganizationId owner, ledger::AccountKind kind) const;
    [[nodiscard]] bool is_frozen(const std::string& target) const;
    /// The policies of this world are about training alone; see Operator::set_policy.
    [[nodiscard]] bool is_kept_by_policy(const market::Order& order) const;
    template <class Row>
    [[nodiscard]] const std::map<typename market::KeyOf<Row>::type, Row>& rows() const {
        return database_.rows().rows<Row>();
    }

    World& world_;
    Database& database_;
    Machines& machines_;
    const market::Rules rules_;
    bool may_quarantine_ = false;
    std::map<HostId, Host*> hosts_;
    std::map<HostId, std::vector<Time>> heard_;
    std::map<std::string, std::string> replies_;  ///< by key: status and body
    std::map<std::string, std::string> states_;   ///< of every row that has one, by id
    std::size_t transfers_seen_ = 0;
    std::map<AccountId, std::int64_t> balances_;
    std::map<LeaseId, std::map<ledger::TransferReason, std::int64_t>> moved_;
    std::map<LeaseId, std::vector<market::LeaseSegment>> segments_;
    std::map<ReservationId, std::map<ledger::TransferReason, std::int64_t>> moved_for_;
    std::string chain_;
    std::int64_t epoch_ = 0;
    Time last_at_;
};

}  // namespace fallow::sim
