// The writer one step at a time, for what no thread can be stopped at.
#include "engine/writer.hpp"
#include "fake_database.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::engine;
using namespace fallow::testing;

namespace {

class Stepped {
  public:
    explicit Stepped(const MemoryDatabase& rows)
        : database(rows), store_(database), beat_store_(database) {}

    /// Leads, with `warm` for a follower's market.
    void lead(std::function<std::optional<WarmMarket>(const Leadership&)> warm = {}) {
        EngineConfig config;
        config.holder = "this";
        config.confirmed_within = confirmed_within;
        config.rules = rules;
        EngineDeps deps{store_, beat_store_, {}, {}, {}, {}, "server-key", {}, {}};
        deps.publish = [](const std::string&) {};
        deps.now = [this] { return now; };
        deps.random = [this] { return RawId{9, ++ids_}; };
        deps.sign = [](const std::string&) { return std::string("signed"); };
        deps.warm = std::move(warm);
        deps.address = [] { return std::string("here:1"); };
        writer.emplace(std::move(config), std::move(deps));
        REQUIRE(writer->take_row());
        writer->load();
    }
    void give_row_to(const std::string& address) {
        REQUIRE(store_.take_leadership("main", {"another", address}, Millis(-1000)));
    }
    void decide() {
        while (writer->decide()) {
        }
    }
    /// Queues the making of an organization; `body` is the answer, once it is given.
    void ask_for(const std::string& organization, std::string& body) {
        Submission submission;
        submission.command = market::CreateOrganization{organization, "DE"};
        submission.caller = World::admin();
        submission.encode = [](const Result<market::Outcome>& outcome) {
            return Reply{201, outcome ? "made" : "refused"};
        };
        submission.done = [&body](const Reply& reply, bool) { body = reply.body; };
        REQUIRE(writer->submit(std::move(submission)));
    }
    Writer::Commit commit() {
        const Writer::Commit came = writer->commit();
        writer->settle();
        return came;
    }
    /// Until nothing is left to do.
    void run() {
        for (decide(); writer->has_batch(); decide())
            commit();
    }

    FakeDatabase database;
    Time now{1'800'000'000'000};
    Millis confirmed_within = hours(1);
    market::Rules rules;
    std::optional<Writer> writer;

  private:
    FakeStore store_;
    FakeStore beat_store_;
    std::uint64_t ids_ = 0;
};

}  // namespace

TEST_CASE("A host that is heard while its loss waits for a commit is not lost") {
    World world;
    const HostId host = world.host(world.organization("seller"));
    Stepped stepped(world.database());
    stepped.lead();
    stepped.now = stepped.now + seconds(16);
    stepped.writer->run_timers();
    stepped.decide();
    REQUIRE(stepped.writer->has_batch());
    SECTION("it is lost when nothing is heard") {
        stepped.run();
        CHECK(stepped.database.rows().rows<market::Host>().at(host).unreachable_since);
    }
    SECTION("it is heard before the batch is decided again") {
        stepped.database.script({Fate::failed});
        CHECK(stepped.commit() == Writer::Commit::failed);
        stepped.writer->heartbeat(host);
        stepped.run();
        CHECK_FALSE(stepped.database.rows().rows<market::Host>().at(host).unreachable_since);
        CHECK(stepped.database.journal().empty());
    }
}

TEST_CASE("A leader that stood still blames no host for its own silence") {
    World world;
    const HostId host = world.host(world.organization("seller"));
    Stepped stepped(world.database());
    stepped.confirmed_within = seconds(2);
    stepped.lead();
    stepped.now = stepped.now + minutes(2);
    stepped.writer->run_timers();
    stepped.run();
    const auto is_lost = [&] {
        return stepped.database.rows().rows<market::Host>().at(host).unreachable_since.has_value();
    };
    CHECK_FALSE(is_lost());
    for (int second = 0; second <= 15; ++second) {
        stepped.now = stepped.now + seconds(1);
        stepped.writer->beat();
        stepped.writer->run_timers();
        stepped.run();
        CHECK(is_lost() == (second == 15));
    }
}

TEST_CASE("A new process leads at once where its address led, and asks for that once") {
    Stepped stepped{MemoryDatabase()};
    stepped.give_row_to("here:1");
    stepped.lead();
    CHECK(stepped.database.holder() == "this");
    stepped.give_row_to("here:1");
    CHECK_FALSE(stepped.writer->take_row());
    CHECK(stepped.database.holder() == "another");
}

TEST_CASE("A new leader gives idle hosts the time to come back, and those with leases none") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const HostId working = world.host(seller, HostBuilder().name("working"));
    world.listing(working);
    world.run(world.rent(world.rich("renter"), an_order().job()));
    const HostId idle = world.host(seller, HostBuilder().name("idle"));
    // Its agent may not have heard of its lease.
    const HostId chosen = world.host(seller, HostBuilder().name("chosen"));
    world.listing(chosen);
    static_cast<void>(world.rent(world.rich("another"), an_order().job()));
    MemoryDatabase rows = world.database();
    for (std::uint64_t i = 1; i <= 300; ++i) {
        market::Host more = rows.rows<market::Host>().at(idle);
        more.id = HostId(RawId{1, i});
        more.name = "more-" + std::to_string(i);
        rows.rows<market::Host>().emplace(more.id, more);
    }
    Stepped stepped(rows);
    stepped.lead();
    const auto is_lost_after = [&](HostId host, Millis span) {
        stepped.now = stepped.now + span;
        stepped.writer->run_timers();
        stepped.run();
        return stepped.database.rows().rows<market::Host>().at(host).unreachable_since.has_value();
    };
    CHECK_FALSE(is_lost_after(working, seconds(15)));
    CHECK(is_lost_after(working, Millis(1)));
    CHECK_FALSE(is_lost_after(idle, idle_return(303) - Millis(1)));
    CHECK_FALSE(is_lost_after(chosen, Millis()));
    CHECK(is_lost_after(idle, Millis(1)));
    CHECK(is_lost_after(chosen, Millis()));
}

TEST_CASE("A new leader goes on from the market that it followed, and reads nothing") {
    World world;
    world.organization("known");
    Stepped stepped(world.database());
    Leadership told;
    stepped.lead([&](const Leadership& leadership) {
        told = leadership;
        return std::optional(WarmMarket{state_of(world.database().load(), market::Rules{}), {}});
    });
    CHECK(told.epoch == 1);
    CHECK(stepped.database.loads() == 0);
    std::string body;
    Submission submission;
    submission.command = market::CreateOrganization{"known", "DE"};
    submission.caller = World::admin();
    submission.encode = [](const Result<market::Outcome>& outcome) {
        return Reply{409, outcome ? "made" : std::string(name_of(outcome.error().code))};
    };
    submission.done = [&](const Reply& reply, bool) { body = reply.body; };
    REQUIRE(stepped.writer->submit(std::move(submission)));
    stepped.run();
    CHECK(body == "name_taken");
}

TEST_CASE("A commit whose outcome is unknown is asked about until the journal tells") {
    Stepped stepped{MemoryDatabase()};
    stepped.lead();
    std::string body;
    stepped.ask_for("a", body);
    stepped.decide();
    stepped.database.script({Fate::lost_after});
    stepped.database.fail_reconnects(1);
    CHECK(stepped.writer->commit() == Writer::Commit::unknown);
    CHECK(stepped.writer->commit() == Writer::Commit::out_of_reach);
    CHECK(stepped.writer->commit() == Writer::Commit::known);
    CHECK(body.empty());
    CHECK(stepped.writer->settle() == 1);
    CHECK(body == "made");
    CHECK(stepped.database.journal().size() == 1);
}

TEST_CASE(
    "An order that only time kept from a part of a card is looked at again without anybody's command") {
    market::Rules rules;
    rules.failed_starts_max = 1;
    rules.failed_starts_window = seconds(12);
    World world(rules);
    const OrganizationId renter = world.rich("renter");
    const HostId host = world.host(world.organization("seller"));
    world.listing(host, a_listing().shares_from(100));
    // No card of the listing is free as a whole any more.
    world.run(world.rent(renter, an_order().share(100).job()));
    const LeaseId failed = world.rent(renter, an_order().share(100).job("busybox", 3));
    const JobId job = *world.lease(failed).job;
    world.reported(failed, market::AgentPhase::accepted);
    market::AgentReport report = world.report(failed, market::AgentPhase::failed);
    report.failure = market::EndReason::start_failed;
    CHECK(world.tell(report) == "ok");
    world.reported(failed, market::AgentPhase::gone);

    Stepped stepped(world.database());
    stepped.now = world.now();
    stepped.rules = rules;
    stepped.lead();
    const auto pass = [&](int seconds_long) {
        for (int second = 0; second < seconds_long; ++second) {
            stepped.now = stepped.now + seconds(1);
            stepped.writer->heartbeat(host);
            stepped.writer->run_timers();
            stepped.run();
        }
        return stepped.database.rows().rows<market::Job>().at(job).state;
    };
    CHECK(pass(11) == market::JobState::queued);
    CHECK(pass(6) == market::JobState::assigned);
}

TEST_CASE("An idle database gets what was decided before more is") {
    Stepped stepped{MemoryDatabase()};
    stepped.lead();
    std::string first;
    std::string second;
    stepped.ask_for("a", first);
    REQUIRE(stepped.writer->decide());
    stepped.ask_for("b", second);
    REQUIRE(stepped.writer->decide());
    CHECK(stepped.writer->has_batch());
    CHECK(stepped.commit() == Writer::Commit::known);
    CHECK(first == "made");
    CHECK(second.empty());
    stepped.run();
    CHECK(second == "made");
}
