// One writer at a time, whatever happens to its connection: the leader row, stale batches, commits in
// doubt.
#include <catch2/catch.hpp>
#include <future>

#include "engine/journal.hpp"
#include "relay.hpp"
#include "store/connection.hpp"
#include "store/maintenance.hpp"
#include "store/market_store.hpp"
#include "store/transaction.hpp"
#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using engine::CommitOutcome;
using store::Connection;

engine::Batch next_batch(const engine::Leadership& leadership, const std::string& record = "{}") {
    engine::Batch batch;
    batch.journal = {"main", leadership.sequence + 1, leadership.epoch, Time(world_now), record, {}};
    batch.journal.chain_hex = engine::next_chain(leadership.chain_hex, record);
    return batch;
}

TEST_CASE("the leader row has one holder while its beat is fresh, and every taking raises the epoch",
          "[leader]") {
    const std::string url = PostgresFixture::instance().fresh_database();
    const auto first = store::make_market_store({.url = url});
    const auto second = store::make_market_store({.url = url});
    const auto taken = first->take_leadership("main", {"a", ""}, hours(1));
    REQUIRE(taken);
    CHECK(taken->epoch == 1);
    CHECK(taken->sequence == 0);
    CHECK(taken->chain_hex.empty());
    CHECK_FALSE(second->take_leadership("main", {"b", ""}, hours(1)));
    CHECK(first->beat("main", 1));
    // Nobody's beat is younger than nothing: the takeover of a leader that has fallen silent.
    const auto over = second->take_leadership("main", {"b", "host:1"}, Millis(-1000));
    REQUIRE(over);
    CHECK(over->epoch == 2);
    CHECK_FALSE(first->beat("main", 1));
    first->release_leadership("main", 1);  // not its own any more: no effect
    CHECK_FALSE(first->take_leadership("main", {"a", ""}, hours(1)));
    second->release_leadership("main", 2);
    const auto again = first->take_leadership("main", {"a", ""}, hours(1));
    REQUIRE(again);
    CHECK(again->epoch == 3);
}

TEST_CASE("a server that was started anew leads at once after its own earlier process", "[leader]") {
    const std::string url = PostgresFixture::instance().fresh_database();
    const auto before = store::make_market_store({.url = url});
    const auto after = store::make_market_store({.url = url});
    REQUIRE(before->take_leadership("main", {"a", "host:1", true}, hours(1)));
    CHECK_FALSE(after->take_leadership("main", {"b", "host:2", true}, hours(1)));
    CHECK_FALSE(after->take_leadership("main", {"b", "host:1", false}, hours(1)));
    const auto taken = after->take_leadership("main", {"b", "host:1", true}, hours(1));
    REQUIRE(taken);
    CHECK(taken->epoch == 2);
    CHECK_FALSE(before->beat("main", 1));
    // Without an address nobody can be told from another.
    REQUIRE(before->take_leadership("main", {"a", "", true}, Millis(-1000)));
    CHECK_FALSE(after->take_leadership("main", {"b", "", true}, hours(1)));
}

TEST_CASE("a batch of a lost epoch or of another sequence is stale and writes nothing", "[leader]") {
    SeededDatabase database;
    const auto successor = store::make_market_store({.url = database.url});
    const auto taken = successor->take_leadership("main", {"b", ""}, Millis(-1000));
    REQUIRE(taken);
    CHECK(taken->sequence == 1);
    CHECK(taken->chain_hex == database.leadership.chain_hex);
    CHECK(taken->last_journal_at == Time(world_now));
    market::Changes changes;
    changes.settings.updates = {{"main", 1, 9}};
    CHECK(database.commit(changes).outcome == CommitOutcome::stale);
    engine::Batch skipped = next_batch(*taken);
    skipped.journal.sequence += 1;
    CHECK(successor->commit(skipped).outcome == CommitOutcome::stale);
    CHECK(successor->commit(next_batch(*taken)).outcome == CommitOutcome::committed);
    CHECK(successor->load("main").settings.fee_ppm == 50'000);
}

TEST_CASE("a refused batch leaves no trace and the next one takes its sequence", "[leader]") {
    SeededDatabase database;
    market::Changes poisoned;
    poisoned.settings.updates = {{"main", 7, 9}};
    poisoned.lease_cards.inserts = {{LeaseId(RawId{5, 5}), database.world.card, 1, false}};
    const engine::CommitResult refused = database.commit(poisoned);
    CHECK(refused.outcome == CommitOutcome::refused);
    CHECK_THAT(refused.detail, Catch::StartsWith("cards_used_within_card"));
    CHECK(database.store->load("main").settings.fee_ppm == 50'000);
    CHECK(database.commit({}).outcome == CommitOutcome::committed);
}

TEST_CASE("what a row gives up another row of the same batch may take", "[leader]") {
    SeededDatabase database;
    market::Changes changes;
    const World& world = database.world;
    changes.lease_cards.updates = {{world.lease, world.card, 1000, true}};
    changes.lease_cards.inserts = {{LeaseId(RawId{5, 5}), world.card, 1000, false}};
    const auto result = database.commit(changes);
    INFO(result.detail);
    CHECK(result.outcome == CommitOutcome::committed);
}

TEST_CASE("a connection that broke before the commit is a failure, until it is reconnected", "[leader]") {
    SeededDatabase database;
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    superuser.exec("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'fallow'");
    CHECK(database.commit({}).outcome == CommitOutcome::failed);
    CHECK(database.commit({}).outcome == CommitOutcome::failed);
    database.store->reconnect();
    CHECK(database.commit({}).outcome == CommitOutcome::committed);
}

TEST_CASE("a session that dies during COMMIT is unknown, and the journal says what became of it",
          "[leader]") {
    SeededDatabase database;
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    // Deferred to the commit, where it ends its own session.
    superuser.exec(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM 1; RETURN NULL; END $$;"
        "GRANT EXECUTE ON FUNCTION die() TO PUBLIC;"
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON market_settings DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()");
    engine::Batch batch = next_batch(database.leadership);
    batch.changes.settings.inserts = {{"elsewhere", 0, 1}};
    const engine::CommitResult result = database.store->commit(batch);
    INFO(result.detail);
    CHECK(result.outcome == CommitOutcome::unknown);
    database.store->reconnect();
    CHECK(database.store->resolve(batch.journal) == CommitOutcome::failed);
    superuser.exec("DROP TRIGGER die ON market_settings");
    REQUIRE(database.store->commit(batch).outcome == CommitOutcome::committed);
    CHECK(database.store->resolve(batch.journal) == CommitOutcome::committed);
}

TEST_CASE("a commit whose answer was lost is unknown, and is found in the journal", "[leader]") {
    SeededDatabase database;
    Relay relay(database.url);
    const auto store = store::make_market_store({.url = relay.url()});
    const auto taken = store->take_leadership("main", {"through the relay", ""}, Millis(-1000));
    REQUIRE(taken);
    const engine::Batch batch = next_batch(*taken);
    relay.lose_next_commit_answer();
    CHECK(store->commit(batch).outcome == CommitOutcome::unknown);
    store->reconnect();
    CHECK(store->resolve(batch.journal) == CommitOutcome::committed);
    // A retry would have been wrong: the sequence is used.
    CHECK(store->commit(batch).outcome == CommitOutcome::stale);
}

TEST_CASE("resolving tells a commit, its absence and another leader's record apart", "[leader]") {
    SeededDatabase database;
    CHECK(database.store->resolve(database.world.batch.journal) == CommitOutcome::committed);
    const engine::Batch never = next_batch(database.leadership);
    CHECK(database.store->resolve(never.journal) == CommitOutcome::failed);
    const auto successor = store::make_market_store({.url = database.url});
    const auto taken = successor->take_leadership("main", {"b", ""}, Millis(-1000));
    REQUIRE(taken);
    CHECK(database.store->resolve(never.journal) == CommitOutcome::stale);
    REQUIRE(successor->commit(next_batch(*taken, R"({"other":1})")).outcome == CommitOutcome::committed);
    CHECK(database.store->resolve(never.journal) == CommitOutcome::stale);
    CHECK(database.store->resolve(database.world.batch.journal) == CommitOutcome::committed);
}

TEST_CASE("another leader's record is not taken for one's own because it says the same", "[leader]") {
    SeededDatabase database;
    const engine::Batch never = next_batch(database.leadership);
    const auto successor = store::make_market_store({.url = database.url});
    const auto taken = successor->take_leadership("main", {"b", ""}, Millis(-1000));
    REQUIRE(taken);
    const engine::Batch same = next_batch(*taken);
    REQUIRE(same.journal.chain_hex == never.journal.chain_hex);
    REQUIRE(successor->commit(same).outcome == CommitOutcome::committed);
    CHECK(database.store->resolve(never.journal) == CommitOutcome::stale);
    CHECK(successor->resolve(same.journal) == CommitOutcome::committed);
}

TEST_CASE("resolving waits for the transaction it asks about", "[leader]") {
    SeededDatabase database;
    const engine::Batch batch = next_batch(database.leadership);
    // The old session, still deciding: it holds the leader row with the record written and not committed.
    Connection old_session({.url = database.url, .role = "fallow_engine"});
    old_session.exec("BEGIN; UPDATE market_leader SET seq = seq + 1, chain = '" + batch.journal.chain_hex +
                     "'; INSERT INTO journal VALUES ('main', 2, 1, 1, '{}', '" + batch.journal.chain_hex +
                     "')");
    auto resolved = std::async(std::launch::async, [&] { return database.store->resolve(batch.journal); });
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    // Until the resolver is seen waiting for the lock.
    while (superuser
               .exec("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
                     "current_database()")
               .empty()) {
        REQUIRE(resolved.wait_for(std::chrono::milliseconds(10)) == std::future_status::timeout);
    }
    old_session.exec("COMMIT");
    CHECK(resolved.get() == CommitOutcome::committed);
}

TEST_CASE("partitions are made ahead, dropped whole after their retention, and leave an anchor",
          "[leader]") {
    SeededDatabase database;
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    constexpr std::int64_t day = 86'400'000;
    const auto maintain_at = [&](std::int64_t now) {
        Connection engine({.url = database.url, .role = "fallow_engine"});
        engine.query("SELECT fallow_maintain($1)", now);
    };
    const auto exists = [&](const std::string& table) {
        return !superuser.exec("SELECT to_regclass('" + table + "')")[0][0].is_null();
    };
    const std::int64_t start = 20'000 * day;
    maintain_at(start);
    CHECK(exists("idempotency_keys_20000"));
    CHECK(exists("idempotency_keys_20007"));
    CHECK(exists("journal_10000000"));
    maintain_at(start + 3 * day);
    CHECK(exists("idempotency_keys_20000"));  // its last rows are not 72 h old yet
    maintain_at(start + 4 * day);
    CHECK_FALSE(exists("idempotency_keys_20000"));
    CHECK(exists("idempotency_keys_20001"));
    // A journal far ahead: the first partition holds only what is over 400 days old.
    superuser.exec("UPDATE market_leader SET seq = 10000001; UPDATE journal SET at = 5");
    maintain_at(start);
    CHECK_FALSE(exists("journal_0"));
    CHECK(superuser.exec("SELECT chain FROM journal_anchors WHERE stream = 'main' AND seq = 1")[0][0]
              .c_str() == database.leadership.chain_hex);
}

}  // namespace
}  // namespace fallow::test
