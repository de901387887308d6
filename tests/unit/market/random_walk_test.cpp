// Thousands of random commands against one market, with an auditor. A failure prints its seed and step.
#include <random>

#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

class Walk {
  public:
    explicit Walk(std::uint64_t seed) : random_(seed), world_(rules()) {
        world_.check_every(20);
        world_.set_fee(50'000);
        for (int i = 0; i < 4; ++i) {
            organizations_.push_back(world_.organization("organization " + std::to_string(i)));
            world_.deposit(organizations_.back(), usd(static_cast<std::int64_t>(below(40))));
        }
        for (int i = 0; i < 4; ++i) {
            const HostBuilder builder = a_host().name("host " + std::to_string(i)).cards(4);
            hosts_.push_back({world_.host(organizations_[below(2)], builder), builder});
            world_.listing(hosts_.back().first,
                           a_listing().ask(usd(1 + static_cast<std::int64_t>(below(3)))));
        }
    }

    void step() {
        world_.pass(Millis(static_cast<std::int64_t>(below(60'000))));
        const std::string outcome = act();
        ++outcomes_[outcome];
        // Final rows leave the memory as in the engine; now and then a new leader starts from the database.
        world_.forget_final_rows();
        if (below(200) == 0) reload();
    }
    [[nodiscard]] const std::map<std::string, int>& outcomes() const { return outcomes_; }
    [[nodiscard]] World& world() { return world_; }

  private:
    static Rules rules() {
        Rules rules;
        rules.due_per_tick_max = 7;
        rules.matches_per_command_max = 3;
        return rules;
    }
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

    std::string act() {
        switch (below(24)) {
            case 0:
            case 1:
            case 2:
            case 3:
                return place();
            case 4: {
                const auto order = some<Order>();
                return order ? go(CancelOrder{order->id}, World::by(order->organization)) : "none";
            }
            case 5:
                return on_lease(
                    [&](const Lease& row) { return go(EndLease{row.id}, World::by(row.renter)); });
            case 6:
                return on_lease(
                    [&](const Lease& row) { return go(ReclaimLease{row.id}, World::by(row.seller)); });
            case 7: {
                const auto job = some<Job>();
                return job ? go(CancelJob{job->id}, World::by(job->organization)) : "none";
            }
            case 8:
                return money();
            case 9:
                return host();
            case 10:
                return listing();
            case 11:
                return freeze();
            case 12:
            case 13:
            case 14:
                return go(Tick{}, World::system());
            case 15:
                return on_lease([&](const Lease& row) {
                    const JobRequest job{"busybox", hours(1), static_cast<std::int32_t>(1 + below(3)),
                                         "{}"};
                    return go(AttachJob{row.id, job}, World::by(row.renter));
                });
            case 16:
            case 17:
                return on_lease([&](const Lease& row) { return usage(row); });
            default:
                return on_lease([&](const Lease& row) { return report(row); });
        }
    }

    template <class Act>
    std::string on_lease(Act act) {
        const auto lease = some<Lease>();
        return lease ? act(*lease) : std::string("none");
    }

    std::string go(const Command& command, const Caller& caller) {
        return std::to_string(command.index()) + ' ' + world_.attempt(command, caller);
    }

    std::string place() {
        OrderBuilder order = an_order()
                                 .cards(static_cast<std::int32_t>(1 + below(3)))
                                 .price_max(usd(static_cast<std::int64_t>(below(5))))
                                 .term(minutes(static_cast<std::int64_t>(5 + below(300))))
                                 .expires_in(minutes(static_cast<std::int64_t>(1 + below(200))));
        if (below(4) == 0) order.fill_or_kill();
        if (below(3) != 0)
            order.job(below(5) == 0 ? "other" : "busybox", static_cast<std::int32_t>(1 + below(4)));
        return go(PlaceOrder(order), World::by(somebody()));
    }

    std::string money() {
        const ledger::Micros amount(static_cast<std::int64_t>(below(5'000'000)));
        if (below(3) != 0) return go(Deposit{somebody(), amount, "walk"}, World::admin());
        const auto account = below(2) == 0 ? ledger::AccountKind::available : ledger::AccountKind::earned;
        return go(Withdraw{somebody(), account, amount, "walk"}, World::admin());
    }

    std::string host() {
        const auto& [id, builder] = hosts_[below(hosts_.size())];
        const Caller owner = World::by(world_.host_row(id).organization);
        switch (below(8)) {
            case 0:
                return go(HostLost{id}, World::system());
            case 1:
                return go(ChangeHost{id, HostAction::drain}, owner);
            case 2:
                return go(ChangeHost{id, HostAction::resume}, owner);
            case 3: {
                ReportInventory report = builder.inventory(world_.now());
                report.cards.resize(below(5));
                return go(report, world_.agent_of(id));
            }
            case 4:
                return go(builder.inventory(world_.now()), world_.agent_of(id));
            default:
                return go(HostBack{id}, World::system());
        }
    }

    std::string listing() {
        const auto some_listing = some<Listing>();
        if (!some_listing || below(3) == 0) {
            const HostId id = hosts_[below(hosts_.size())].first;
            const std::vector<CardId> cards = world_.unlisted(id, std::nullopt);
            if (cards.empty()) return "none";
            const auto offer = a_listing()
                                   .ask(usd(static_cast<std::int64_t>(below(4))))
                                   .notice(minutes(static_cast<std::int64_t>(below(20))));
            return go(offer.on(id, cards), World::by(world_.host_row(id).organization));
        }
        const Caller owner = World::by(some_listing->organization);
        if (below(4) == 0) return go(WithdrawListing{some_listing->id}, owner);
        UpdateListing change;
        change.listing = some_listing->id;
        change.version = some_listing->version;
        change.ask = ledger::Price(usd(static_cast<std::int64_t>(below(4))).count);
        change.state = below(4) == 0 ? ListingState::paused : ListingState::open;
        return go(change, owner);
    }

    std::string freeze() {
        if (const auto known = some<Freeze>()) return go(RemoveFreeze{known->id}, World::admin());
        switch (below(12)) {
            case 0:
                return go(CreateFreeze{FreezeKind::organization, somebody().text(), ""}, World::admin());
            case 1:
                return go(CreateFreeze{FreezeKind::host, hosts_[below(hosts_.size())].first.text(), ""},
                          World::admin());
            case 2:
                return go(CreateFreeze{FreezeKind::market, "main", ""}, World::admin());
            case 3:
                return go(CreateFreeze{FreezeKind::image, "other", ""}, World::admin());
            default:
                return "none";
        }
    }

    std::string usage(const Lease& lease) {
        ReportUsage report =
            world_.usage(lease.id, lease.claimed + Millis(static_cast<std::int64_t>(below(900'000))));
        if (below(20) == 0) report.sequence += 1;
        const Millis before = lease.meter.running;
        const std::string outcome = go(report, world_.agent_of(lease.host));
        const Lease& after = world_.lease(lease.id);
        if (after.meter.running > before) CHECK(lease.running_at.has_value());
        return outcome;
    }

    /// Mostly what an agent would say next, sometimes anything.
    std::string report(const Lease& lease) {
        AgentPhase phase = static_cast<AgentPhase>(below(5));
        if (below(5) != 0) {
            switch (lease.state) {
                case LeaseState::allocated:
                    phase = AgentPhase::accepted;
                    break;
                case LeaseState::preparing:
                    phase = below(6) == 0 ? AgentPhase::failed : AgentPhase::running;
                    break;
                case LeaseState::running:
                    phase = AgentPhase::exited;
                    break;
                case LeaseState::reclaiming:
                case LeaseState::ended:
                    phase = AgentPhase::gone;
            }
        }
        AgentReport report = world_.report(lease.id, phase);
        if (phase == AgentPhase::exited) {
            report.exit_code = static_cast<std::int32_t>(below(2));
            report.oom_killed = below(10) == 0;
        }
        return go(report, world_.agent_of(lease.host));
    }

    /// The state that a new leader loads has every row that the old one still held, and the same indexes.
    void reload() {
        const State before = world_.state();
        world_.reload();
        State expected = before;
        for (const auto& [id, row] : before.table<Listing>())
            if (row.state == ListingState::withdrawn) expected.replace<Listing>(&row, nullptr);
        State loaded = world_.state();
        // Of an old attempt whose cards are not released, the job is loaded although it is done with.
        for (const auto& [id, row] : world_.state().table<Job>())
            if (row.finished_at && before.find<Job>(id) == nullptr) loaded.replace<Job>(&row, nullptr);
        CHECK(difference(loaded, expected) == "");
    }

    std::mt19937_64 random_;
    World world_;
    std::vector<OrganizationId> organizations_;
    std::vector<std::pair<HostId, HostBuilder>> hosts_;
    std::map<std::string, int> outcomes_;
};

}  // namespace

TEST_CASE("A random walk keeps every invariant") {
    std::map<std::string, int> all;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        Walk walk(seed);
        for (int i = 0; i < 1200; ++i) {
            INFO("seed " << seed << ", step " << i);
            walk.step();
        }
        CHECK(audit(walk.world().state()) == "");
        for (const auto& [outcome, count] : walk.outcomes())
            all[outcome] += count;
    }
    // A walk that goes nowhere proves nothing: each of these kinds of command must have succeeded often.
    for (const char* kind : {"1 ok", "9 ok", "11 ok", "12 ok", "13 ok", "14 ok", "15 ok", "16 ok", "17 ok",
                             "18 ok", "19 ok", "20 ok", "21 ok"}) {
        INFO(kind);
        CHECK(all[kind] >= 5);
    }
}

TEST_CASE("The same commands make the same market") {
    Walk one(42);
    Walk two(42);
    for (int i = 0; i < 400; ++i) {
        one.step();
        two.step();
    }
    CHECK(difference(one.world().state(), two.world().state()) == "");
}
