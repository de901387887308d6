// One seed: the market is set up, lives through its faults, comes to rest, and is judged.
#pragma once

#include <memory>

#include "simulation/agent.hpp"
#include "simulation/people.hpp"

namespace fallow::sim {

struct SeedResult {
    std::uint64_t seed = 0;
    std::uint64_t events = 0;
    std::uint64_t hash = 0;
    Coverage coverage;
    std::string violation;  ///< empty when all held; else rule and detail
    std::uint64_t step = 0;
};

[[nodiscard]] SeedResult simulate(std::uint64_t seed, bool prints);

class Simulation {
  public:
    Simulation(std::uint64_t seed, bool prints);
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    /// Throws Violation.
    void run();
    [[nodiscard]] const World& world() const { return world_; }

  private:
    void run_for(Millis span);
    void run_until(const std::function<bool()>& condition, Millis at_most);
    void set_up();
    void add_hosts(OrganizationId owner, const std::string& seller_name);
    [[nodiscard]] OrganizationId make_organization(const std::string& name);
    void plan_fault();
    void cause_fault();
    void hit(const std::string& fault, std::optional<HostId> host);
    void disturb_host(std::size_t index);
    void disturb_server();
    void disturb_database();
    void poison_for_a_while();
    [[nodiscard]] bool is_answered() const;
    void heal();

    World world_;
    Network network_;
    Database database_;
    Machines machines_;
    market::Rules rules_;
    Auditor auditor_;
    std::vector<std::unique_ptr<Server>> servers_;
    Scene scene_;
    std::vector<std::unique_ptr<Host>> hosts_;
    std::vector<std::unique_ptr<Agent>> agents_;
    std::unique_ptr<Operator> operator_;
    std::vector<std::unique_ptr<Seller>> sellers_;
    std::vector<std::unique_ptr<Renter>> renters_;
};

}  // namespace fallow::sim
