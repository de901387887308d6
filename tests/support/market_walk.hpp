// A random walk through one market: what organizations, hosts and the clock do, in an order that a seed
// decides.
#pragma once

#include <random>

#include "support/market_world.hpp"

namespace fallow::testing {

class Walk {
  public:
    /// `reload_one_in`: in so many steps, now and then, a new leader starts from the database; 0 never.
    explicit Walk(std::uint64_t seed, std::size_t reload_one_in = 200);

    void step();
    [[nodiscard]] const std::map<std::string, int>& outcomes() const { return outcomes_; }
    [[nodiscard]] World& world() { return world_; }

  private:
    static market::Rules rules();
    std::size_t below(std::size_t n) { return random_() % n; }
    OrganizationId somebody() { return organizations_[below(organizations_.size())]; }

    template <class Row>
    std::optional<Row> some() {
        std::vector<const Row*> rows;
        for (const auto& [id, row] : world_.state().table<Row>())
            rows.push_back(&row);
        if (rows.empty()) return std::nullopt;
        // A hash table's order is not ours to rely on: the seed alone decides.
        std::sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->id < b->id; });
        return *rows[below(rows.size())];
    }

    std::string act();

    template <class Act>
    std::string on_lease(Act act) {
        const auto lease = some<market::Lease>();
        return lease ? act(*lease) : std::string("none");
    }

    template <class Act>
    std::string on_reservation(Act act) {
        const auto row = some<market::Reservation>();
        return row ? act(*row) : std::string("none");
    }

    std::string reserve();

    std::string resell(const market::Reservation& row);

    std::string go(const market::Command& command, const market::Caller& caller);

    std::string place();
    std::string place_quoted();

    std::string bid();

    std::string money();

    std::string host();

    std::string listing();

    std::string freeze();

    std::string usage(const market::Lease& lease);

    /// Mostly what an agent would say next, sometimes anything.
    std::string report(const market::Lease& lease);

    /// The state that a new leader loads has every row that the old one still held, and the same indexes.
    void reload();

    std::mt19937_64 random_;
    std::size_t reload_one_in_;
    World world_;
    std::vector<OrganizationId> organizations_;
    std::vector<std::pair<HostId, HostBuilder>> hosts_;
    std::map<std::string, int> outcomes_;
};

}  // namespace fallow::testing
