// Jobs: what a lease's end means for the work it carried.
#include "market/jobs.hpp"

#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

/// Two hosts; the first has a running job that may be tried three times.
struct Work {
    explicit Work(std::int32_t attempts_max = 3, bool with_second_host = false) {
        seller = world.organization("seller");
        renter = world.rich("renter");
        host = world.host(seller);
        world.listing(host);
        if (with_second_host) {
            second = world.host(seller, a_host().name("host-2"));
            world.listing(second, a_listing().ask(usd(1, 50)));
        }
        lease = world.rent(renter, an_order().job("busybox", attempts_max));
        job = *world.lease(lease).job;
    }
    [[nodiscard]] std::string state() const { return std::string(name_of(world.job(job).state)); }
    [[nodiscard]] std::string reason() const {
        const auto& reason = world.job(job).reason;
        return reason ? std::string(name_of(*reason)) : "none";
    }
    [[nodiscard]] LeaseId current() const { return *world.job(job).lease; }

    /// Brings the running lease to an end for `reason`, up to its cards' release.
    void end_for(EndReason reason) {
        if (reason == EndReason::image_pull_failed || reason == EndReason::start_failed) {
            world.reported(lease, AgentPhase::accepted);
            AgentReport report = world.report(lease, AgentPhase::failed);
            report.failure = reason;
            REQUIRE(world.tell(report) == "ok");
        } else if (reason == EndReason::start_timeout) {
            world.tick_after(minutes(1));
        } else {
            world.run(lease);
            end_running(reason);
        }
        if (world.lease(lease).state == LeaseState::running) world.tick_after(minutes(1));
        world.reported(lease, AgentPhase::gone);
    }

    World world;
    OrganizationId seller, renter;
    HostId host, second;
    LeaseId lease;
    JobId job;

  private:
    void end_running(EndReason reason) {
        AgentReport exit = world.report(lease, AgentPhase::exited);
        switch (reason) {
            case EndReason::completed:
                break;
            case EndReason::command_failed:
                exit.exit_code = 1;
                break;
            case EndReason::out_of_memory:
                exit.exit_code = 137;
                exit.oom_killed = true;
                break;
            case EndReason::duration_exceeded:
                exit.exit_code = 137;
                exit.duration_exceeded = true;
                break;
            case EndReason::temporary_failure:
                exit.exit_code = 75;
                exit.is_temporary = true;
                break;
            case EndReason::unhealthy:
                exit.stop = StopCause::unhealthy;
                break;
            case EndReason::idle:
                exit.stop = StopCause::idle;
                break;
            case EndReason::cancelled_by_renter:
                REQUIRE(world.attempt(EndLease{lease}, World::by(renter)) == "ok");
                return;
            case EndReason::reclaimed_by_owner:
                REQUIRE(world.attempt(ReclaimLease{lease}, World::by(seller)) == "ok");
                return;
            case EndReason::term_reached:
                for (int hour = 1; hour <= 20; ++hour) {
                    world.pass(minutes(30));
                    world.state_usage(lease, minutes(30 * hour));
                }
                world.tick();
                return;
            case EndReason::funds_exhausted:
                world.tick_after(minutes(42));
                return;
            case EndReason::policy_revoked:
                REQUIRE(world.attempt(CreateFreeze{FreezeKind::image, "busybox", ""}, World::admin()) ==
                        "ok");
                return;
            case EndReason::host_lost:
                world.lost(host);
                return;
            default:
                FAIL("not an end of a running lease");
        }
        REQUIRE(world.tell(exit) == "ok");
    }
};

}  // namespace

TEST_CASE("Every end that a lease can have, and what it makes of the job") {
    for (const auto& row : text_table(R"(
        end                 | job with attempts left | job on its last attempt | attempts
        completed           | succeeded              | succeeded               | 1
        command_failed      | failed                 | failed                  | 1
        out_of_memory       | failed                 | failed                  | 1
        duration_exceeded   | failed                 | failed                  | 1
        cancelled_by_renter | cancelled              | cancelled               | 1
        term_reached        | failed                 | failed                  | 1
        funds_exhausted     | failed                 | failed                  | 1
        image_pull_failed   | failed                 | failed                  | 1
        policy_revoked      | failed                 | failed                  | 1
        reclaimed_by_owner  | assigned               | failed                  | 2
        start_failed        | assigned               | failed                  | 2
        start_timeout       | assigned               | failed                  | 2
        temporary_failure   | assigned               | failed                  | 2
        unhealthy           | assigned               | failed                  | 2
        idle                | failed                 | failed                  | 1
        host_lost           | queued                 | failed                  | 1
    )")) {
        const EndReason reason = *parse_enum<EndReason>(row["end"]);
        INFO(row["end"]);
        {
            Work work(3);
            work.end_for(reason);
            CHECK(work.world.lease(work.lease).end_reason == reason);
            CHECK(work.world.lease(work.lease).released);
            CHECK(work.state() == row["job with attempts left"]);
            CHECK(work.world.job(work.job).attempts == row.number("attempts"));
            CHECK(work.reason() == row["end"]);
            CHECK(is_retried(reason) == (row["job with attempts left"] != row["job on its last attempt"]));
        }
        Work last(1);
        last.end_for(reason);
        CHECK(last.state() == row["job on its last attempt"]);
        CHECK(last.world.job(last.job).finished_at.has_value());
    }
}

TEST_CASE("The ends that no command makes yet follow the retry policy as well") {
    CHECK(is_retried(EndReason::outbid));
    CHECK(is_retried(EndReason::host_maintenance));
}

TEST_CASE("Restarts of a container are counted within an attempt, and end nothing") {
    Work work(2, true);
    World& world = work.world;
    world.run(work.lease);
    const auto running = [&](std::int32_t restarts) {
        AgentReport report = world.report(work.lease, AgentPhase::running);
        report.restarts = restarts;
        REQUIRE(world.tell(report) == "ok");
        CHECK(world.phase(work.lease) == "running");
        return world.job(work.job).restarts;
    };
    CHECK(running(0) == 0);
    CHECK(running(1) == 1);
    CHECK(running(3) == 3);
    const std::int64_t version = world.job(work.job).version;
    CHECK(running(2) == 3);  // late, or a repetition
    CHECK(world.job(work.job).version == version);

    AgentReport exit = world.report(work.lease, AgentPhase::exited);
    exit.exit_code = 75;
    exit.is_temporary = true;
    REQUIRE(world.tell(exit) == "ok");
    CHECK(world.job(work.job).restarts == 3);
    world.reported(work.lease, AgentPhase::gone);
    CHECK(world.job(work.job).attempts == 2);
    CHECK(world.job(work.job).restarts == 0);
}

TEST_CASE("A lost attempt stands again where it stood first, and goes to another host") {
    Work work(2, true);
    World& world = work.world;
    const Order first = world.order(world.lease(work.lease).order);
    world.run(work.lease);
    world.pass(minutes(3));
    world.lost(work.host);

    CHECK(world.phase(work.lease) == "ended host_lost");
    const LeaseId next = work.current();
    CHECK(next != work.lease);
    CHECK(world.lease(next).host == work.second);
    CHECK(world.lease(next).attempt == 2);
    const Order& order = world.order(world.lease(next).order);
    CHECK(order.id != first.id);
    CHECK(order.placed_at == first.placed_at);
    CHECK(order.expires_at == world.now() + days(7));
    CHECK(order.state == OrderState::filled);
    CHECK(work.state() == "assigned");

    // The old host comes back: its container goes, and only then are its cards free.
    CHECK_FALSE(world.state().at<Card>(world.lease(work.lease).cards[0]).is_free());
    world.back(work.host);
    CHECK_FALSE(world.state().at<Card>(world.lease(work.lease).cards[0]).is_free());
    world.reported(work.lease, AgentPhase::gone);
    CHECK(world.state().at<Card>(world.lease(work.lease).cards[0]).is_free());
    CHECK(work.state() == "assigned");

    // The second attempt was the last.
    world.run(next);
    world.lost(work.second);
    CHECK(work.state() == "failed");
    CHECK(work.reason() == "host_lost");
}

TEST_CASE("Outputs that were never fetched are lost with their host") {
    Work work(2);
    work.world.run(work.lease);
    work.world.exited(work.lease, 0);
    work.world.lost(work.host);
    CHECK(work.world.phase(work.lease) == "ended completed");
    CHECK(work.state() == "queued");
    CHECK(work.reason() == "host_lost");
}

TEST_CASE("A job that failed by itself stays failed when its host is lost") {
    Work work(2);
    work.world.run(work.lease);
    work.world.exited(work.lease, 1);
    work.world.lost(work.host);
    CHECK(work.state() == "failed");
    CHECK(work.reason() == "command_failed");
    CHECK(work.world.job(work.job).exit_code == 1);
}

TEST_CASE("Job states × cancellation") {
    for (const auto& row : text_table(R"(
        job       | outcome     | then
        queued    | ok          | cancelled
        assigned  | ok          | cancelled
        preparing | ok          | assigned
        running   | ok          | running
        succeeded | wrong_state | succeeded
        failed    | wrong_state | failed
        cancelled | wrong_state | cancelled
    )")) {
        INFO(row["job"]);
        Work work(3);
        World& world = work.world;
        if (row["job"] == "queued") world.lost(work.host);
        if (row["job"] == "preparing") world.reported(work.lease, AgentPhase::accepted);
        if (row["job"] == "running") world.run(work.lease);
        if (row["job"] == "succeeded") work.end_for(EndReason::completed);
        if (row["job"] == "failed") work.end_for(EndReason::command_failed);
        if (row["job"] == "cancelled") work.end_for(EndReason::cancelled_by_renter);
        CHECK(world.attempt(CancelJob{work.job}, World::by(work.renter)) == row["outcome"]);
        CHECK(work.state() == row["then"]);
    }
}

TEST_CASE("A cancelled job does not come back, whatever ended its lease first") {
    for (const auto& row : text_table(R"(
        ended first by   | then          | job       | lease
        reclaim          | nothing       | cancelled | ended cancelled_by_renter, released
        reclaim deadline | nothing       | cancelled | ended reclaimed_by_owner, released
        start failure    | nothing       | cancelled | ended start_failed, released
        cancellation     | host lost     | cancelled | ended host_lost, released
        cancellation     | short reclaim | cancelled | ended cancelled_by_renter, released
        exit 0           | nothing       | succeeded | ended completed, released
        exit 1           | nothing       | failed    | ended command_failed, released
    )")) {
        INFO(row["ended first by"] << ", then " << row["then"]);
        Work work(3);
        World& world = work.world;
        const std::string first = row["ended first by"];
        if (first == "start failure") {
            world.reported(work.lease, AgentPhase::accepted);
            world.reported(work.lease, AgentPhase::failed);
        } else {
            world.run(work.lease);
        }
        if (first.starts_with("reclaim"))
            CHECK(world.attempt(ReclaimLease{work.lease}, World::by(work.seller)) == "ok");
        if (first == "reclaim deadline") world.tick_after(minutes(1));
        if (first == "exit 0") world.exited(work.lease, 0);
        if (first == "exit 1") world.exited(work.lease, 1);
        CHECK(world.attempt(CancelJob{work.job}, World::by(work.renter)) == "ok");
        if (row["then"] == "host lost") world.lost(work.host);
        if (row["then"] == "short reclaim")
            CHECK(world.attempt(ReclaimLease{work.lease}, World::by(work.seller)) == "ok");
        if (world.lease(work.lease).state == LeaseState::running) world.tick_after(minutes(1));
        world.reported(work.lease, AgentPhase::gone);
        CHECK(work.state() == row["job"]);
        CHECK(world.phase(work.lease) == row["lease"]);
    }
}

TEST_CASE("A queued job is cancelled with its order, and fails when the order expires") {
    Work work(1);
    World& world = work.world;
    const auto waiting = world.place(work.renter, an_order().expires_in(hours(1)).job());
    REQUIRE(waiting.job);
    CHECK(waiting.job->state == JobState::queued);
    SECTION("cancelled") {
        CHECK(world.attempt(CancelOrder{waiting.order.id}, World::by(work.renter)) == "ok");
        CHECK(world.order(waiting.order.id).state == OrderState::cancelled);
        CHECK(world.order(waiting.order.id).reason == OrderReason::cancelled_by_renter);
        CHECK(world.job(waiting.job->id).state == JobState::cancelled);
    }
    SECTION("cancelled through the job") {
        CHECK(world.attempt(CancelJob{waiting.job->id}, World::by(work.renter)) == "ok");
        CHECK(world.order(waiting.order.id).state == OrderState::cancelled);
        CHECK(world.job(waiting.job->id).state == JobState::cancelled);
    }
    SECTION("expired") {
        world.run(work.lease);
        world.pass(minutes(30));
        world.state_usage(work.lease, minutes(30));
        world.tick_after(minutes(30) - Millis(1));
        CHECK(world.order(waiting.order.id).state == OrderState::standing);
        world.tick_after(Millis(1));
        CHECK(world.order(waiting.order.id).state == OrderState::expired);
        CHECK(world.order(waiting.order.id).reason == OrderReason::term_reached);
        CHECK(world.job(waiting.job->id).state == JobState::failed);
    }
}

TEST_CASE("A job that is brought to a lease runs there once and is never requeued") {
    World world;
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    const HostId host = world.host(seller);
    world.listing(host);
    const LeaseId lease = world.rent(renter, an_order());
    CHECK(world.lease(lease).pinned);
    world.pass(minutes(1));
    const Job job = world.must<Job>(AttachJob{lease, {"busybox", hours(1), 5, "{\"image\":\"busybox\"}"}},
                                    World::admin());
    CHECK(job.organization == renter);
    CHECK(job.state == JobState::assigned);
    CHECK(job.attempts == 1);
    CHECK(world.lease(lease).phase_deadline == world.now() + seconds(60));
    CHECK(world.database().job_specs().back().document == "{\"image\":\"busybox\"}");
    CHECK(world.database().job_specs().back().organization == renter);
    world.reported(lease, AgentPhase::accepted);
    world.lost(host);
    CHECK(world.phase(lease) == "ended host_lost");
    CHECK(world.job(job.id).state == JobState::failed);
}
