// A follower on PostgreSQL: told nothing but the journal, it holds what a new leader would read.
#include "engine/follower.hpp"

#include "living_market.hpp"
#include "store/journal_source.hpp"
#include "support/state_text.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using fallow::test::PostgresFixture;

namespace {

engine::FollowerDeps deps_on(engine::JournalSource& source, std::string& log) {
    const auto nothing = [](const std::string&) {};
    const auto note = [&log](const std::string&, const std::string& message) { log += message + '\n'; };
    return {source, nothing, [] {}, [] { return Time(1); }, note};
}

void look_to_the_end(engine::Follower& follower) {
    while (follower.look().has_more) {
    }
}

}  // namespace

TEST_CASE("A follower takes over exactly what the tables hold") {
    const std::string url = PostgresFixture::instance().fresh_database();
    Both both(url);
    const auto source = store::make_journal_source({.url = url});
    std::string log;
    engine::FollowerConfig config;
    config.holder = "other";
    engine::Follower follower(config, deps_on(*source, log));
    const engine::Looked first = follower.look();
    CHECK_FALSE(first.is_free);
    CHECK_FALSE(first.is_own);

    World world;
    std::uint64_t commands = 0;
    world.on_decided([&](const Command& command, const Caller& by, std::uint64_t seed) {
        both.repeat(command, by, seed);
        if (++commands % 5 == 0) look_to_the_end(follower);
    });
    live(world);
    REQUIRE(commands > 30);
    const std::int64_t epoch = both.engine.engine().stats().epoch;
    both.engine.stop();
    CHECK(follower.look().is_free);

    const auto successor = store::make_market_store({.url = url});
    const auto leadership = successor->take_leadership("main", {"other", "other:1"}, seconds(1));
    REQUIRE(leadership);
    CHECK(leadership->epoch == epoch + 1);
    const auto warm = follower.take(*leadership);
    REQUIRE(warm);
    CHECK(log == "");
    State loaded = state_of(successor->load("main"), Rules{});
    // A listing that was withdrawn is in nobody's way and not read again.
    for (const auto& [id, row] : warm->table<Listing>())
        if (row.state == ListingState::withdrawn) loaded.replace<Listing>(nullptr, &row);
    CHECK(difference(*warm, loaded) == "");
    CHECK(warm->active_leases() > 0);

    // Now the row is the follower's own, and says where others find it.
    CHECK(follower.look().is_own);
    const auto leader = follower.leader();
    REQUIRE(leader);
    CHECK(leader->is_self);
    CHECK(leader->address == "other:1");
    CHECK(leader->epoch == leadership->epoch);
}

TEST_CASE("A journal is read in parts, and the leader row tells how old its beat is") {
    const std::string url = PostgresFixture::instance().fresh_database();
    const auto source = store::make_journal_source({.url = url});
    const engine::LeaderRow nobody = source->leader("main");
    CHECK(nobody.holder.empty());
    CHECK(nobody.beat_age > hours(1));
    CHECK(source->leader("no such market").holder.empty());
    CHECK(source->read("main", 0, 10).empty());

    PostgresEngine leader(url);
    leader.start();
    for (int i = 0; i < 5; ++i)
        leader.submit(EngineUnderTest::new_organization("organization " + std::to_string(i))).answer();
    const engine::LeaderRow row = source->leader("main");
    CHECK(row.holder == "this");
    CHECK(row.epoch == 1);
    CHECK(row.sequence == 5);
    CHECK(row.beat_age < seconds(60));
    const auto records = source->read("main", 1, 3);
    REQUIRE(records.size() == 3);
    CHECK(records.front().sequence == 2);
    CHECK(records.back().sequence == 4);
    CHECK(records.back().epoch == 1);
    CHECK(source->load("main").position.sequence == 5);
    CHECK(source->load("main").position.chain_hex == source->read("main", 4, 1).front().chain_hex);

    Superuser(url).exec("UPDATE journal_streams SET seq = 7");
    CHECK(source->leader("main").accounts_sequence == 7);
}
