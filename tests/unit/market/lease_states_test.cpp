// Every state of a lease against everything that can happen to it.
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

constexpr std::int32_t failed_exit_code = 3;

/// A market with one seller, one renter, and one lease brought to a state by what its agent reported.
class OneLease {
  public:
    explicit OneLease(const std::string& state) {
        seller = world.organization("seller");
        renter = world.rich("renter");
        stranger = world.rich("stranger");
        host = world.host(seller, a_host().cards(2));
        world.listing(host, a_listing().notice(minutes(5)));
        if (state == "bare") {
            lease = world.rent(renter, an_order());
            return;
        }
        lease = world.rent(renter, an_order().job("busybox", 2));
        if (state == "allocated") return;
        world.reported(lease, AgentPhase::accepted);
        if (state == "preparing") return;
        world.reported(lease, AgentPhase::running);
        if (state == "running") return;
        if (state == "stopping") {
            CHECK(world.attempt(ReclaimLease{lease}, World::by(seller)) == "ok");
            return;
        }
        world.exited(lease, 0);
        if (state == "reclaiming") return;
        if (state == "ended") world.tick_after(minutes(10));
        if (state == "released") world.reported(lease, AgentPhase::gone);
    }

    std::string after(const std::string& outcome) const {
        return outcome == "ok" ? world.phase(lease) : outcome;
    }

    World world;
    OrganizationId seller;
    OrganizationId renter;
    OrganizationId stranger;
    HostId host;
    LeaseId lease;
};

/// "accepted", "exited 3", "failed image_pull_failed", "exited oom".
AgentReport report_of(const World& world, LeaseId lease, const std::string& words) {
    const auto space = words.find(' ');
    AgentReport report = world.report(lease, *parse_enum<AgentPhase>(words.substr(0, space)));
    const std::string detail = space == std::string::npos ? "" : words.substr(space + 1);
    if (detail == "nonzero") report.exit_code = failed_exit_code;
    if (detail == "oom") {
        report.exit_code = 137;
        report.oom_killed = true;
    }
    if (detail == "too long") {
        report.exit_code = 137;
        report.duration_exceeded = true;
    }
    if (detail == "told") report.stop = StopCause::wanted;
    if (detail == "at term") report.stop = StopCause::run_until;
    if (detail == "unpaid") report.stop = StopCause::paid_until;
    if (detail == "fenced") report.stop = StopCause::fenced_too_long;
    if (detail == "owned") report.stop = StopCause::reclaimed;
    if (detail == "sick") report.stop = StopCause::unhealthy;
    if (detail == "idle") report.stop = StopCause::idle;
    if (detail == "passing") {
        report.exit_code = failed_exit_code;
        report.is_temporary = true;
    }
    if (detail == "image") report.failure = EndReason::image_pull_failed;
    return report;
}

}  // namespace

TEST_CASE("Lease states × agent reports") {
    for (const auto& row : text_table(R"(
        report          | bare        | allocated   | preparing                    | running                        | stopping                       | reclaiming                | ended                      | released
        accepted        | wrong_state | preparing   | preparing                    | wrong_state                    | wrong_state                    | wrong_state               | wrong_state                | wrong_state
        running         | wrong_state | wrong_state | running                      | running                        | running                        | wrong_state               | wrong_state                | wrong_state
        exited          | wrong_state | wrong_state | wrong_state                  | reclaiming completed           | reclaiming completed           | reclaiming completed      | ended completed            | ended completed, released
        exited nonzero  | wrong_state | wrong_state | wrong_state                  | reclaiming command_failed      | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited oom      | wrong_state | wrong_state | wrong_state                  | reclaiming out_of_memory       | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited too long | wrong_state | wrong_state | wrong_state                  | reclaiming duration_exceeded   | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited told     | wrong_state | wrong_state | wrong_state                  | reclaiming completed           | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited at term  | wrong_state | wrong_state | wrong_state                  | reclaiming term_reached        | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited unpaid   | wrong_state | wrong_state | wrong_state                  | reclaiming funds_exhausted     | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited fenced   | wrong_state | wrong_state | wrong_state                  | reclaiming host_lost           | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited owned    | wrong_state | wrong_state | wrong_state                  | reclaiming reclaimed_by_owner  | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited sick     | wrong_state | wrong_state | wrong_state                  | reclaiming unhealthy           | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited idle     | wrong_state | wrong_state | wrong_state                  | reclaiming idle                | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        exited passing  | wrong_state | wrong_state | wrong_state                  | reclaiming temporary_failure   | reclaiming reclaimed_by_owner  | reclaiming completed      | ended completed            | ended completed, released
        reclaimed       | ended reclaimed_by_owner | ended reclaimed_by_owner | reclaiming reclaimed_by_owner | running | running | reclaiming completed | ended completed | ended completed, released
        failed          | wrong_state | wrong_state | reclaiming start_failed      | wrong_state                    | wrong_state                    | reclaiming completed      | ended completed            | ended completed, released
        failed image    | wrong_state | wrong_state | reclaiming image_pull_failed | wrong_state                    | wrong_state                    | reclaiming completed      | ended completed            | ended completed, released
        gone            | wrong_state | wrong_state | wrong_state                  | wrong_state                    | wrong_state                    | ended completed, released | ended completed, released  | ended completed, released
    )"))
        for (const auto& [state, expected] : row.cells()) {
            if (state == "report") continue;
            INFO(row["report"] << " in " << state);
            OneLease one(state);
            const AgentReport report = report_of(one.world, one.lease, row["report"]);
            CHECK(one.after(one.world.tell(report)) == expected);
            // A repetition changes nothing, whatever it is answered.
            const std::string phase = one.world.phase(one.lease);
            const std::string again = one.world.tell(report);
            CHECK(one.world.phase(one.lease) == phase);
            if (again == "ok") CHECK(one.world.last_entries().empty());
        }
}

TEST_CASE("Lease states × what people and time do") {
    for (const auto& row : text_table(R"(
        what            | bare                        | allocated                   | preparing                       | running         | stopping        | reclaiming           | ended           | released
        renter ends     | ended cancelled_by_renter   | ended cancelled_by_renter   | reclaiming cancelled_by_renter  | running         | running         | wrong_state          | wrong_state     | wrong_state
        seller ends     | not_found                   | not_found                   | not_found                       | not_found       | not_found       | not_found            | not_found       | not_found
        seller reclaims | ended reclaimed_by_owner    | ended reclaimed_by_owner    | reclaiming reclaimed_by_owner   | running         | running         | wrong_state          | wrong_state     | wrong_state
        renter reclaims | not_found                   | not_found                   | not_found                       | not_found       | not_found       | not_found            | not_found       | not_found
        stranger ends   | not_found                   | not_found                   | not_found                       | not_found       | not_found       | not_found            | not_found       | not_found
        job attached    | allocated                   | wrong_state                 | wrong_state                     | wrong_state     | wrong_state     | wrong_state          | wrong_state     | wrong_state
        freeze          | ended policy_revoked        | ended policy_revoked        | reclaiming policy_revoked       | running         | running         | reclaiming completed | ended completed | ended completed, released
        host lost       | ended host_lost             | ended host_lost             | ended host_lost                 | ended host_lost | ended host_lost | ended completed      | ended completed | ended completed, released
        a day           | ended start_timeout         | ended start_timeout         | reclaiming start_timeout        | running         | reclaiming reclaimed_by_owner | ended completed | ended completed | ended completed, released
    )"))
        for (const auto& [state, expected] : row.cells()) {
            const std::string what = row["what"];
            if (state == "what") continue;
            INFO(what << " in " << state);
            OneLease one(state);
            World& world = one.world;
            std::string outcome = "ok";
            if (what == "renter ends") outcome = world.attempt(EndLease{one.lease}, World::by(one.renter));
            if (what == "seller ends") outcome = world.attempt(EndLease{one.lease}, World::by(one.seller));
            if (what == "stranger ends")
                outcome = world.attempt(EndLease{one.lease}, World::by(one.stranger));
            if (what == "seller reclaims")
                outcome = world.attempt(ReclaimLease{one.lease}, World::by(one.seller));
            if (what == "renter reclaims")
                outcome = world.attempt(ReclaimLease{one.lease}, World::by(one.renter));
            if (what == "job attached")
                outcome = world.attempt(AttachJob{one.lease, {"busybox", hours(1), 1, "{}"}},
                                        World::by(one.renter));
            if (what == "freeze")
                outcome = world.attempt(CreateFreeze{FreezeKind::organization, one.renter.text(), "a note"},
                                        World::admin());
            if (what == "host lost") world.lost(one.host);
            if (what == "a day") world.tick_after(days(1));
            CHECK(one.after(outcome) == expected);
        }
}

TEST_CASE("A running lease is told to stop, and how long it has") {
    for (const auto& row : text_table(R"(
        what      | reason              | seconds
        end       | cancelled_by_renter | 10
        reclaim   | reclaimed_by_owner  | 300
        at host   | reclaimed_by_owner  | 300
        half over | reclaimed_by_owner  | 150
        too long  | reclaimed_by_owner  | 300
        freeze    | policy_revoked      | 10
    )")) {
        INFO(row["what"]);
        OneLease one("running");
        World& world = one.world;
        if (row["what"] == "end") CHECK(world.attempt(EndLease{one.lease}, World::by(one.renter)) == "ok");
        if (row["what"] == "reclaim")
            CHECK(world.attempt(ReclaimLease{one.lease}, World::by(one.seller)) == "ok");
        AgentReport report = world.report(one.lease, AgentPhase::reclaimed);
        if (row["what"] == "half over") report.notice = seconds(150);
        if (row["what"] == "too long") report.notice = hours(1);
        const bool is_at_host = row["what"] == "at host" || report.notice.has_value();
        if (is_at_host) CHECK(world.tell(report) == "ok");
        if (row["what"] == "freeze")
            CHECK(world.attempt(CreateFreeze{FreezeKind::host, one.host.text(), ""}, World::admin()) ==
                  "ok");
        const Lease& lease = world.lease(one.lease);
        CHECK(name_of(lease.stop_reason.value()) == row["reason"]);
        CHECK(lease.reclaim_deadline.value() - world.now() == seconds(row.number("seconds")));
        CHECK(lease.state == LeaseState::running);

        world.tick_after(seconds(row.number("seconds")) - Millis(1));
        CHECK(world.phase(one.lease) == "running");
        world.tick_after(Millis(1));
        CHECK(world.phase(one.lease) == "reclaiming " + row["reason"]);
    }
}

TEST_CASE("What the owner has stopped at the host bills what ran, although nothing was said before") {
    OneLease one("running");
    World& world = one.world;
    world.pass(minutes(10));
    CHECK(world.attempt(world.usage(one.lease, minutes(4)), world.agent_of(one.host)) == "ok");
    const auto charged = world.lease(one.lease).meter.charged;
    AgentReport report = world.report(one.lease, AgentPhase::exited);
    report.stop = StopCause::reclaimed;
    CHECK(world.tell(report) == "ok");
    CHECK(world.phase(one.lease) == "reclaiming reclaimed_by_owner");
    world.pass(minutes(5));
    world.reported(one.lease, AgentPhase::gone);
    CHECK(world.phase(one.lease) == "ended reclaimed_by_owner, released");
    CHECK(world.lease(one.lease).meter.running == minutes(4));
    CHECK(world.lease(one.lease).meter.charged == charged);
}

TEST_CASE("An earlier end stays, a later one does not move it") {
    OneLease one("running");
    World& world = one.world;
    CHECK(world.attempt(EndLease{one.lease}, World::by(one.renter)) == "ok");
    const Time deadline = *world.lease(one.lease).reclaim_deadline;
    CHECK(world.attempt(ReclaimLease{one.lease}, World::by(one.seller)) == "ok");
    CHECK(world.events().empty());
    CHECK(world.lease(one.lease).reclaim_deadline == deadline);
    CHECK(world.lease(one.lease).stop_reason == EndReason::cancelled_by_renter);
}

TEST_CASE("A nearer end shortens a notice and says why") {
    OneLease one("stopping");
    World& world = one.world;
    CHECK(world.attempt(CreateFreeze{FreezeKind::organization, one.renter.text(), ""}, World::admin()) ==
          "ok");
    CHECK(world.lease(one.lease).reclaim_deadline == world.now() + seconds(10));
    CHECK(world.lease(one.lease).stop_reason == EndReason::policy_revoked);
}

TEST_CASE("A notice ends with the term and with the money, never before the grace") {
    for (const auto& row : text_table(R"(
        term min | dollars | minutes run | notice s
        600      | 1000    | 1           | 1800
        10       | 1000    | 4           | 360
        5        | 1000    | 5           | 10
    )")) {
        INFO("a term of " << row["term min"] << " minutes after " << row["minutes run"]);
        World world;
        const auto seller = world.organization("seller");
        const auto renter = world.organization("renter");
        world.deposit(renter, usd(row.number("dollars")));
        world.listing(world.host(seller), a_listing().notice(minutes(30)));
        const LeaseId lease = world.rent(renter, an_order().term(minutes(row.number("term min"))).job());
        world.run(lease);
        world.pass(minutes(row.number("minutes run")));
        CHECK(world.attempt(ReclaimLease{lease}, World::by(seller)) == "ok");
        CHECK(*world.lease(lease).reclaim_deadline - world.now() == seconds(row.number("notice s")));
    }
}

TEST_CASE("Deadlines of each phase") {
    for (const auto& row : text_table(R"(
        state      | seconds | then
        bare       | 120     | ended start_timeout
        allocated  | 60      | ended start_timeout
        preparing  | 1320    | reclaiming start_timeout
        reclaiming | 600     | ended completed
    )")) {
        INFO(row["state"]);
        OneLease one(row["state"]);
        const std::string before = one.world.phase(one.lease);
        one.world.tick_after(seconds(row.number("seconds")) - Millis(1));
        CHECK(one.world.phase(one.lease) == before);
        one.world.tick_after(Millis(1));
        CHECK(one.world.phase(one.lease) == row["then"]);
    }
}

TEST_CASE("A lease that is no host's own, or of another epoch, cannot be reported") {
    OneLease one("preparing");
    World& world = one.world;
    const HostId other = world.host(one.seller, a_host().name("host-2"));
    AgentReport report = world.report(one.lease, AgentPhase::running);
    CHECK(world.attempt(report, world.agent_of(other)) == "not_found");
    CHECK(world.attempt(report, World::by(one.seller)) == "not_found");
    report.lease_epoch += 1;
    CHECK(world.tell(report) == "stale_epoch");
    report.lease_epoch -= 2;
    CHECK(world.tell(report) == "stale_epoch");
    report.lease = LeaseId(RawId{1, 1});
    CHECK(world.attempt(report, world.agent_of(one.host)) == "not_found");
    report.phase = AgentPhase::gone;
    CHECK(world.attempt(report, world.agent_of(one.host)) == "ok");
}

TEST_CASE("A container other than the running one is not the lease's") {
    OneLease one("running");
    AgentReport report = one.world.report(one.lease, AgentPhase::running);
    report.container = "another";
    CHECK(one.world.tell(report) == "wrong_state");
}

TEST_CASE("An exit code that comes after the deadline is kept for the job") {
    OneLease one("stopping");
    World& world = one.world;
    world.tick_after(minutes(5));
    CHECK(world.phase(one.lease) == "reclaiming reclaimed_by_owner");
    AgentReport report = world.report(one.lease, AgentPhase::exited);
    report.exit_code = 143;
    CHECK(world.tell(report) == "ok");
    CHECK(world.lease(one.lease).exit_code == 143);
    report.exit_code = 1;
    CHECK(world.tell(report) == "ok");
    CHECK(world.lease(one.lease).exit_code == 143);
}
