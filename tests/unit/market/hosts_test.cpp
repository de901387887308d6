// Hosts, their cards, and the freezes that stop them.
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

/// A host brought to a state; "draining away" is a draining host that is silent.
struct OneHost {
    explicit OneHost(const std::string& state) {
        seller = world.organization("seller");
        host = world.enroll(seller);
        if (state == "enrolled") return;
        world.back(host);
        if (state == "unreachable" || state == "draining away") world.lost(host);
        if (state.starts_with("draining")) CHECK(act(HostAction::drain) == "ok");
        if (state == "retired") CHECK(act(HostAction::retire) == "ok");
    }
    std::string act(HostAction action) {
        return world.attempt(ChangeHost{host, action}, World::by(seller));
    }
    [[nodiscard]] std::string state() const {
        const Host& row = world.host_row(host);
        return std::string(name_of(row.state)) + (row.unreachable_since ? " away" : "");
    }
    World world;
    OrganizationId seller;
    HostId host;
};

}  // namespace

TEST_CASE("Host states × what happens to them") {
    for (const auto& row : text_table(R"(
        what    | enrolled    | online           | unreachable      | draining      | draining away    | retired
        drain   | wrong_state | draining         | draining away    | wrong_state   | wrong_state      | wrong_state
        resume  | wrong_state | wrong_state      | wrong_state      | online        | unreachable away | wrong_state
        retire  | retired     | retired          | retired away     | retired       | retired away     | wrong_state
        silence | enrolled    | unreachable away | unreachable away | draining away | draining away    | retired
        return  | online      | online           | online           | draining      | draining         | retired
    )"))
        for (const auto& [state, expected] : row.cells()) {
            const std::string what = row["what"];
            if (state == "what") continue;
            INFO(what << " of " << state);
            OneHost one(state);
            std::string outcome = "ok";
            if (what == "drain") outcome = one.act(HostAction::drain);
            if (what == "resume") outcome = one.act(HostAction::resume);
            if (what == "retire") outcome = one.act(HostAction::retire);
            if (what == "silence") one.world.lost(one.host);
            if (what == "return") one.world.back(one.host);
            CHECK((outcome == "ok" ? one.state() : outcome) == expected);
        }
}

TEST_CASE("A retired host's listings are withdrawn and its name is free") {
    OneHost one("online");
    World& world = one.world;
    world.inventory(one.host, a_host().cards(2));
    const ListingId listing = world.listing(one.host);
    CHECK(one.act(HostAction::retire) == "ok");
    CHECK(world.listing_row(listing).state == ListingState::withdrawn);
    CHECK(world.state().offers().empty());
    CHECK(world.attempt(a_host().enrollment(HostId(RawId{5, 5})), World::by(one.seller)) == "ok");
}

TEST_CASE("An inventory is what there is: new cards, changed ones, missing ones") {
    OneHost one("online");
    World& world = one.world;
    const auto tell = [&](const ReportInventory& report) {
        CHECK(world.attempt(report, world.agent_of(one.host)) == "ok");
        return world.events();
    };
    ReportInventory report = a_host().cards(2).inventory(world.now());
    CHECK(tell(report) == "host.changed card.found card.found");
    CHECK(tell(report).empty());

    report.cards[0].driver_version = "560.1";
    CHECK(tell(report) == "card.changed");

    const ReportedCard second = report.cards[1];
    report.cards.pop_back();
    CHECK(tell(report) == "card.missing");
    CHECK(tell(report).empty());
    report.cards.push_back(second);
    CHECK(tell(report) == "card.changed");

    report.agent_version = "0.2.0";
    CHECK(tell(report) == "host.changed");
}

TEST_CASE("A host's public address has a date, and one that is not public is none") {
    OneHost one("online");
    World& world = one.world;
    const auto move = [&](const std::string& address) {
        CHECK(world.attempt(HostMoved{one.host, address}, World::system()) == "ok");
        return world.events();
    };
    CHECK(move("").empty());
    CHECK(move("198.41.0.4") == "host.address_changed");
    const Time since = world.now();
    CHECK(world.host_row(one.host).address == "198.41.0.4");
    CHECK(world.host_row(one.host).address_since == since);
    world.pass(hours(1));
    CHECK(move("198.41.0.4").empty());
    // An inventory says nothing of it, nor does silence.
    world.inventory(one.host, a_host());
    world.lost(one.host);
    world.back(one.host);
    CHECK(world.host_row(one.host).address_since == since);
    CHECK(move("199.9.14.201") == "host.address_changed");
    CHECK(world.host_row(one.host).address_since == world.now());
    CHECK(move("") == "host.address_changed");
    CHECK_FALSE(world.host_row(one.host).address);
    CHECK_FALSE(world.host_row(one.host).address_since);
    CHECK(one.act(HostAction::retire) == "ok");
    CHECK(move("198.41.0.4").empty());
}

TEST_CASE("A report without a measurement keeps the last one") {
    OneHost one("online");
    World& world = one.world;
    const Time measured = world.now();
    world.inventory(one.host, a_host());
    world.pass(hours(1));
    const auto cards = world.inventory(one.host, a_host().unmeasured());
    CHECK(cards.at(0).vram_bytes == gib(80));
    CHECK(cards.at(0).measured_at == measured);
    CHECK(world.events().empty());
    CHECK(world.inventory(one.host, a_host().vram(gib(48))).at(0).vram_bytes == gib(48));
}

TEST_CASE("A card that goes missing while it is leased stays with its lease") {
    OneHost one("online");
    World& world = one.world;
    world.inventory(one.host, a_host());
    const ListingId listing = world.listing(one.host);
    const auto renter = world.rich("renter");
    const LeaseId lease = world.rent(renter, an_order().job());
    ReportInventory empty = a_host().inventory(world.now());
    empty.cards.clear();
    CHECK(world.attempt(empty, world.agent_of(one.host)) == "ok");
    CHECK(world.attempt(EndLease{lease}, World::by(renter)) == "ok");
    world.reported(lease, AgentPhase::gone);
    CHECK(world.state().free_cards(listing) == 0);
    world.inventory(one.host, a_host());
    CHECK(world.state().free_cards(listing) == 1);
}

TEST_CASE("A host's silence ends batch leases at once and gives a running rental ten minutes") {
    for (const auto& row : text_table(R"(
        lease            | at once          | after ten minutes | when back in time
        bare             | ended host_lost  | ended host_lost   | ended host_lost
        batch allocated  | ended host_lost  | ended host_lost   | ended host_lost
        batch running    | ended host_lost  | ended host_lost   | ended host_lost
        rental preparing | ended host_lost  | ended host_lost   | ended host_lost
        rental running   | running          | ended host_lost   | running
    )"))
        for (const bool returns : {false, true}) {
            INFO(row["lease"] << (returns ? ", back" : ", lost"));
            OneHost one("online");
            World& world = one.world;
            world.inventory(one.host, a_host());
            world.listing(one.host);
            const auto renter = world.rich("renter");
            const std::string kind = row["lease"];
            OrderBuilder order = an_order();
            if (kind.starts_with("batch")) order.job();
            const LeaseId lease = world.rent(renter, order);
            if (kind.starts_with("rental"))
                CHECK(world.attempt(AttachJob{lease, {"busybox", hours(9), 1, "{}"}}, World::by(renter)) ==
                      "ok");
            if (kind == "rental preparing") world.reported(lease, AgentPhase::accepted);
            if (kind.ends_with("running")) world.run(lease);
            world.lost(one.host);
            CHECK(world.phase(lease) == row["at once"]);
            world.tick_after(minutes(10) - Millis(1));
            CHECK(world.phase(lease) == row["at once"]);
            if (returns) world.back(one.host);
            world.tick_after(Millis(1));
            CHECK(world.phase(lease) == row[returns ? "when back in time" : "after ten minutes"]);
            if (world.lease(lease).state == LeaseState::running)
                CHECK_FALSE(world.lease(lease).phase_deadline);
        }
}

TEST_CASE("A lost host is never billed past its last proven second") {
    OneHost one("online");
    World& world = one.world;
    world.inventory(one.host, a_host());
    world.listing(one.host);
    const auto renter = world.rich("renter");
    const LeaseId lease = world.rent(renter, an_order().job());
    world.run(lease);
    world.pass(minutes(6));
    world.state_usage(lease, minutes(6));
    world.pass(minutes(5));
    world.lost(one.host);
    CHECK(world.balance(one.seller, ledger::AccountKind::earned).count == 100'000);
    CHECK(world.balance(renter, ledger::AccountKind::available) == usd(1000) - ledger::Micros(100'000));
    CHECK(world.attempt(world.usage(lease, minutes(11)), world.agent_of(one.host)) == "wrong_state");
}

TEST_CASE("Each kind of freeze ends what it concerns, and only that") {
    for (const auto& row : text_table(R"(
        kind         | target        | first lease    | second lease   | new order
        organization | renter        | policy_revoked | policy_revoked | frozen
        organization | seller        | policy_revoked | none           | ok
        organization | second seller | none           | policy_revoked | ok
        host         | host          | policy_revoked | none           | ok
        image        | busybox       | policy_revoked | none           | ok
        image        | sha256:1      | none           | policy_revoked | ok
        image        | alpine        | none           | none           | ok
        market       | main          | none           | none           | frozen
    )")) {
        INFO(row["kind"] << ' ' << row["target"]);
        World world;
        std::map<std::string, OrganizationId> organizations;
        for (const char* name : {"seller", "second seller", "renter"})
            organizations[name] = world.rich(name);
        const HostId host = world.host(organizations["seller"]);
        const HostId second = world.host(organizations["second seller"], a_host().name("host-2"));
        world.listing(host);
        world.listing(second, a_listing().ask(usd(1, 50)));
        const OrganizationId renter = organizations["renter"];
        const LeaseId a = world.rent(renter, an_order().job("busybox"));
        const LeaseId b = world.rent(renter, an_order().job("debian@sha256:1"));
        world.run(a);
        world.run(b);

        std::string target = row["target"];
        if (organizations.contains(target)) target = organizations[target].text();
        if (target == "host") target = host.text();
        const FreezeKind kind = *parse_enum<FreezeKind>(row["kind"]);
        const Freeze freeze = world.must<Freeze>(CreateFreeze{kind, target, "a note"}, World::admin());
        CHECK(freeze.note == "a note");
        CHECK(freeze.created_by == "key_admin");
        const auto stopped = [&](LeaseId id) {
            const auto& reason = world.lease(id).stop_reason;
            return reason ? std::string(name_of(*reason)) : "none";
        };
        CHECK(stopped(a) == row["first lease"]);
        CHECK(stopped(b) == row["second lease"]);
        CHECK(world.attempt(PlaceOrder(an_order()), World::by(renter)) == row["new order"]);
        if (kind == FreezeKind::organization)
            CHECK(world.state().at<Organization>(*OrganizationId::parse(target)).status ==
                  OrganizationStatus::frozen);

        world.must<Done>(RemoveFreeze{freeze.id}, World::admin());
        CHECK_FALSE(world.state().is_frozen(kind, target));
        CHECK(world.attempt(PlaceOrder(an_order()), World::by(renter)) == "ok");
        CHECK(world.attempt(CreateFreeze{kind, target, ""}, World::admin()) == "ok");
    }
}

TEST_CASE("Listing states × commands") {
    for (const auto& row : text_table(R"(
        what     | open      | paused    | withdrawn
        pause    | paused    | paused    | wrong_state
        open     | open      | open      | wrong_state
        withdraw | withdrawn | withdrawn | wrong_state
    )"))
        for (const char* state : {"open", "paused", "withdrawn"}) {
            INFO(row["what"] << " of " << state);
            OneHost one("online");
            World& world = one.world;
            world.inventory(one.host, a_host().cards(2));
            const ListingId listing = world.listing(one.host);
            const auto go = [&](const std::string& what) {
                if (what.starts_with("withdraw"))
                    return world.attempt(WithdrawListing{listing}, World::by(one.seller));
                const auto to = what.starts_with("pause") ? ListingState::paused : ListingState::open;
                return world.attempt(
                    UpdateListing(a_change(listing, world.listing_row(listing).version).to(to)),
                    World::by(one.seller));
            };
            if (std::string(state) != "open") CHECK(go(state) == "ok");
            const std::string outcome = go(row["what"]);
            CHECK((outcome == "ok" ? std::string(name_of(world.listing_row(listing).state)) : outcome) ==
                  row[state]);
            const bool is_open = world.listing_row(listing).state == ListingState::open;
            CHECK(world.state().offers().size() == (is_open ? 1U : 0U));
        }
}

TEST_CASE("A withdrawn listing's cards can be listed again while its leases go on") {
    OneHost one("online");
    World& world = one.world;
    world.inventory(one.host, a_host().cards(2));
    const ListingId first = world.listing(one.host);
    const auto renter = world.rich("renter");
    const LeaseId lease = world.rent(renter, an_order().job());
    CHECK(world.attempt(WithdrawListing{first}, World::by(one.seller)) == "ok");
    CHECK(world.phase(lease) == "allocated");
    const ListingId second = world.listing(one.host, a_listing().ask(usd(2)));
    CHECK(world.state().free_cards(second) == 1);
    world.run(lease);
    world.exited(lease, 0);
    world.reported(lease, AgentPhase::gone);
    CHECK(world.state().free_cards(second) == 2);
}
