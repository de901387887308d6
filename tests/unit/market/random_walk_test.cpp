// Thousands of random commands against one market, with an auditor. A failure prints its seed and step.
#include "support/market_walk.hpp"
#include "support/state_text.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

TEST_CASE("A random walk keeps every invariant") {
    std::map<std::string, int> all;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        Walk walk(seed);
        for (int i = 0; i < 1500; ++i) {
            INFO("seed " << seed << ", step " << i);
            walk.step();
        }
        CHECK(audit(walk.world().state()) == "");
        for (const auto& [outcome, count] : walk.outcomes())
            all[outcome] += count;
    }
    // A walk that goes nowhere proves nothing: each of these kinds of command must have succeeded often.
    const std::vector<Command> often{
        Deposit{},           UpdateListing{},    ReclaimLease{},   PlaceOrder{},      CancelOrder{},
        EndLease{},          AttachJob{},        CancelJob{},      ReportInventory{}, AgentReport{},
        ReportUsage{},       HostLost{},         HostBack{},       ChangeBid{},       Reserve{},
        CancelReservation{}, OfferReservation{}, BuyReservation{}, AddMaintenance{},  RemoveMaintenance{},
        HostMoved{}};
    for (const Command& command : often) {
        const std::string kind = std::to_string(command.index()) + " ok";
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
