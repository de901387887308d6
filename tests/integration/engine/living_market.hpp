// A market that lives through everything it knows, for engines on a real PostgreSQL.
#pragma once

#include <atomic>

#include "postgres_engine.hpp"

namespace fallow::testing {

/// The same commands to a pure market and to an engine; afterwards both must hold the same rows.
class Both {
  public:
    explicit Both(const std::string& url) : engine(url) {
        engine.set_random([this] { return RawId{7, seed_.load()}; });
        engine.start();
    }
    /// Sends the command that the pure market has just decided with its own seed.
    void repeat(const market::Command& command, const market::Caller& by, std::uint64_t seed) {
        seed_ = seed;
        engine.submit(command, by).answer();
    }
    PostgresEngine engine;

  private:
    std::atomic<std::uint64_t> seed_{0};
};

/// Lives through everything that a market knows; the engine's clock stands still, as the world's does.
inline void live(World& world) {
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    world.set_fee(50'000);
    const HostId host = world.host(seller, a_host().cards(4));
    const HostId second = world.host(seller, a_host().name("host-2").cards(2).product("A100"));
    const ListingId listing = world.listing(host, a_listing().notice(minutes(2)));
    world.listing(second,
                  a_listing().ask(usd(1, 50)).bundle(1).available(world.now(), world.now() + days(9)));
    const LeaseId finished = world.rent(renter, an_order().cards(2).job("busybox", 3));
    world.run(finished);
    world.state_usage(finished, seconds(5));
    world.exited(finished, 0);
    world.reported(finished, market::AgentPhase::gone);
    const LeaseId running = world.rent(renter, an_order().job("busybox@sha256:1", 3));
    world.run(running);
    world.state_usage(running, seconds(4));
    const LeaseId rental = world.rent(renter, an_order());
    world.must<market::Job>(market::AttachJob{rental, {"desktop", hours(2), 1, "{\"image\":\"desktop\"}"}},
                            World::by(renter));
    const LeaseId lost = world.rent(renter, an_order().product("A100").job("busybox", 2));
    world.run(lost);
    world.lost(second);
    world.place(renter, an_order().price_max(usd(0, 20)).in("FR").not_in("US").vram(gib(24)).job());
    const auto cancelled = world.place(renter, an_order().price_max(usd(0, 30)).job());
    world.must<market::Order>(market::CancelOrder{cancelled.order.id}, World::by(renter));
    world.must<market::Lease>(market::ReclaimLease{running}, World::by(seller));
    world.must<market::Freeze>(market::CreateFreeze{market::FreezeKind::image, "bad", "a note"},
                               World::admin());
    const market::Freeze lifted = world.must<market::Freeze>(
        market::CreateFreeze{market::FreezeKind::organization, renter.text(), ""}, World::admin());
    world.must<Done>(market::RemoveFreeze{lifted.id}, World::admin());
    world.must<market::ListingView>(market::UpdateListing(a_change(listing, 1).ask(usd(2))),
                                    World::by(seller));
    world.must<ledger::Transfer>(market::Withdraw{renter, ledger::AccountKind::available, usd(1), "out"},
                                 World::admin());
    CHECK(world.attempt(market::CreateOrganization{"seller", "DE"}, World::admin()) == "name_taken");
}

}  // namespace fallow::testing
