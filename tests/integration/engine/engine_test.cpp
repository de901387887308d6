// The engine on PostgreSQL: what it decided is what the database holds, whatever breaks in between.
#include <iostream>

#include "engine/journal.hpp"
#include "integration/store/relay.hpp"
#include "living_market.hpp"
#include "support/state_text.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using fallow::test::PostgresFixture;

namespace {

std::string fresh_database() {
    return PostgresFixture::instance().fresh_database();
}

Command new_organization(const std::string& name) {
    return EngineUnderTest::new_organization(name);
}

/// The ledger's sums, the shares of cards and the journal's chain, read from the tables alone.
void check_tables(const std::string& url) {
    Superuser database(url);
    CHECK(database.number("SELECT sum(balance_micros)::bigint FROM accounts") == 0);
    CHECK(database.number(
              "SELECT count(*) FROM accounts a WHERE balance_micros <> "
              "(SELECT coalesce(sum(CASE WHEN credit_account_id = a.id THEN amount_micros ELSE 0 END - "
              "CASE WHEN debit_account_id = a.id THEN amount_micros ELSE 0 END), 0) FROM transfers "
              "WHERE a.id IN (credit_account_id, debit_account_id))") == 0);
    CHECK(database.number(
              "SELECT count(*) FROM cards c WHERE used <> (SELECT coalesce(sum(thousandths), 0) FROM "
              "lease_cards WHERE card_id = c.id AND NOT released)") == 0);
    CHECK(database.number(
              "SELECT count(*) FROM accounts a WHERE kind = 'held' AND balance_micros <> (SELECT "
              "coalesce(sum(held_micros), 0) FROM leases WHERE organization_id = a.organization_id)") == 0);
    std::string chain;
    std::int64_t sequence = 0;
    for (const auto& row :
         database.exec("SELECT seq, record, chain FROM journal WHERE stream = 'main' ORDER BY seq")) {
        CHECK(row[0].as<std::int64_t>() == ++sequence);
        chain = engine::next_chain(chain, row[1].as<std::string>());
        CHECK(row[2].as<std::string>() == chain);
    }
    CHECK(database.number("SELECT seq FROM market_leader WHERE market = 'main'") == sequence);
}

std::string loaded_difference(engine::MarketStore& store, const engine::LoadedMarket& expected) {
    const State found = state_of(store.load("main"), Rules{});
    return difference(found, state_of(expected, Rules{}));
}

}  // namespace

TEST_CASE("A market's life on PostgreSQL leaves the rows that the pure market has") {
    const std::string url = fresh_database();
    World world;
    {
        Both both(url);
        world.on_decided([&](const Command& command, const Caller& by, std::uint64_t seed) {
            both.repeat(command, by, seed);
        });
        live(world);
        CHECK(both.engine.engine().stats().quarantined == 0);
        CHECK(both.engine.log().empty());
    }
    const auto store = store::make_market_store({.url = url});
    CHECK(loaded_difference(*store, world.database().load()) == "");
    check_tables(url);

    SECTION("and a new engine goes on where the old one stopped") {
        PostgresEngine next(url);
        next.start();
        CHECK(next.engine().stats().active_leases == world.state().active_leases());
        CHECK(next.engine().stats().standing_orders == world.state().demands().size());
        CHECK(next.submit(new_organization("seller")).answer().body == "name_taken");
        CHECK(next.submit(new_organization("new")).answer().status == 201);
        // Each lease that still lives can be ended: its order and its job are there.
        for (const auto& [id, lease] : world.state().table<Lease>()) {
            if (lease.released) continue;
            next.submit(HostLost{lease.host}, World::system()).answer();
            const Caller agent{lease.seller, false, lease.host, lease.host.text()};
            const AgentReport gone{id, lease.epoch, AgentPhase::gone, {}, {}, {}, false, false, {}, {}};
            const Answer answer = next.submit(gone, agent).answer();
            CHECK(answer.status == 200);
        }
        CHECK(next.engine().stats().quarantined == 0);
        next.stop();
        Superuser database(url);
        CHECK(database.number("SELECT count(*) FROM leases WHERE state = 'running'") == 0);
        check_tables(url);
    }
}

TEST_CASE("Rows that only replies and receipts need are kept") {
    const std::string url = fresh_database();
    World world;
    {
        Both both(url);
        world.on_decided([&](const Command& command, const Caller& by, std::uint64_t seed) {
            both.repeat(command, by, seed);
        });
        live(world);
    }
    Superuser database(url);
    CHECK(database.number("SELECT count(*) FROM receipts") ==
          database.number("SELECT count(*) FROM leases WHERE state = 'ended'"));
    CHECK(database.number("SELECT count(*) FROM receipts WHERE statement LIKE 'fallow-receipt-v1%signers: "
                          "server+host%'") == 1);
    CHECK(database.number("SELECT count(*) FROM usage_statements") == 2);
    CHECK(database.number("SELECT count(*) FROM job_specs") ==
          static_cast<std::int64_t>(world.database().job_specs().size()));
    CHECK(database.number("SELECT count(*) FROM transfers") ==
          static_cast<std::int64_t>(world.database().transfers().size()));
}

TEST_CASE("A key's reply outlives the engine") {
    const std::string url = fresh_database();
    Answer first;
    {
        PostgresEngine engine(url);
        engine.start();
        first =
            engine.submit(new_organization("a"), World::by(platform_organization), "key", "hash").answer();
        CHECK(first.status == 201);
    }
    PostgresEngine next(url);
    next.start();
    const Answer again =
        next.submit(new_organization("a"), World::by(platform_organization), "key", "hash").answer();
    CHECK(again == Answer{201, first.body, true});
    CHECK(next.submit(new_organization("b"), World::by(platform_organization), "key", "other")
              .answer()
              .status == 422);
}

TEST_CASE("The answer to a COMMIT is lost: the journal tells, and nothing is done twice") {
    const std::string url = fresh_database();
    test::Relay relay(url);
    PostgresEngine engine(relay.url(), url);
    engine.start();
    CHECK(engine.submit(new_organization("a")).answer().status == 201);
    relay.lose_next_commit_answer();
    CHECK(engine.submit(new_organization("b")).answer().status == 201);
    CHECK(engine.submit(new_organization("c")).answer().status == 201);
    CHECK(engine.log().find("unknown") != std::string::npos);
    engine.stop();
    Superuser database(url);
    CHECK(database.number("SELECT count(*) FROM organizations WHERE name IN ('a', 'b', 'c')") == 3);
    CHECK(database.number("SELECT count(*) FROM journal WHERE stream = 'main'") == 3);
    check_tables(url);
}

TEST_CASE("A session that dies during COMMIT has committed nothing, and the batch is decided again") {
    const std::string url = fresh_database();
    Superuser database(url);
    PostgresEngine engine(url);
    engine.start();
    database.exec(
        "CREATE FUNCTION die_while_armed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        "IF NEW.name = 'deadly' AND EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'armed') "
        "THEN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM 1; END IF; RETURN NULL; END $$;"
        "GRANT EXECUTE ON FUNCTION die_while_armed() TO PUBLIC;"
        "CREATE CONSTRAINT TRIGGER die_while_armed AFTER INSERT ON organizations DEFERRABLE INITIALLY "
        "DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die_while_armed(); SET application_name = 'armed'");
    Call call = engine.submit(new_organization("deadly"));
    // Disarmed as soon as the engine says that it has to ask the journal.
    const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (engine.log().find("unknown") == std::string::npos)
        REQUIRE(std::chrono::steady_clock::now() < give_up_at);
    database.exec("SET application_name = 'disarmed'");
    CHECK(call.answer().status == 201);
    engine.stop();
    CHECK(database.number("SELECT count(*) FROM organizations WHERE name = 'deadly'") == 1);
    check_tables(url);
}

TEST_CASE("A backend that is terminated before its COMMIT costs a repetition") {
    const std::string url = fresh_database();
    Superuser database(url);
    PostgresEngine engine(url);
    engine.start();
    database.hold_commits();
    Call a = engine.submit(new_organization("a"), World::by(platform_organization), "key");
    database.wait_until_blocked();
    Call b = engine.submit(new_organization("b"));
    b.wait_decided();
    database.terminate_blocked();
    database.let_go();
    CHECK(a.answer().status == 201);
    CHECK_FALSE(a.answer().replayed);
    CHECK(b.answer().status == 201);
    engine.stop();
    CHECK(database.number("SELECT count(*) FROM organizations WHERE name IN ('a', 'b')") == 2);
    CHECK(database.number("SELECT count(*) FROM idempotency_keys") == 1);
    check_tables(url);
}

TEST_CASE("The database refuses what the market believes possible: that command alone is set aside") {
    const std::string url = fresh_database();
    World world;
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    world.listing(world.host(seller, a_host().cards(2)));
    PostgresEngine engine(url);
    {
        // The market so far, as one batch of another leader.
        const auto leadership = engine.store().take_leadership("main", {"setup", ""}, Millis(-1000));
        REQUIRE(leadership);
        engine::Batch batch;
        batch.changes = world.all_changes();
        batch.journal = {"main", 1, leadership->epoch, world.now(), "{}", engine::next_chain("", "{}")};
        const auto result = engine.store().commit(batch);
        INFO(result.detail);
        REQUIRE(result.outcome == engine::CommitOutcome::committed);
        engine.store().release_leadership("main", leadership->epoch);
    }
    engine.start();
    Superuser database(url);
    // As no code of ours can: the first card is taken behind the market's back.
    database.exec("UPDATE cards SET used = 1000 WHERE index = 0");
    database.hold_commits();
    Call blocker = engine.submit(new_organization("blocker"));
    database.wait_until_blocked();
    Call before = engine.submit(new_organization("before"));
    Call poisoned = engine.submit(PlaceOrder(an_order()), World::by(renter), "key");
    Call after = engine.submit(new_organization("after"));
    after.wait_decided();
    database.let_go();
    CHECK(blocker.answer().status == 201);
    CHECK(before.answer().status == 201);
    CHECK(poisoned.answer() == Answer{500, "quarantined", false});
    CHECK(after.answer().status == 201);
    CHECK(engine.engine().stats().quarantined == 1);
    CHECK(engine.log().find("cards_used_within_card") != std::string::npos);
    CHECK(database.number("SELECT count(*) FROM orders") == 0);
    CHECK(database.number("SELECT count(*) FROM transfers WHERE reason = 'hold'") == 0);

    // The same key again, once the database agrees with the market.
    database.exec("UPDATE cards SET used = 0 WHERE index = 0");
    const Answer placed = engine.submit(PlaceOrder(an_order()), World::by(renter), "key").answer();
    CHECK(placed.status == 200);
    CHECK_FALSE(placed.replayed);
    engine.stop();
    check_tables(url);
}

TEST_CASE("A leader that was overtaken writes nothing any more") {
    const std::string url = fresh_database();
    Superuser database(url);
    PostgresEngine old(url);
    old.start();
    CHECK(old.submit(new_organization("a")).answer().status == 201);
    PostgresEngine next(url);
    next.config.holder = "next";
    next.set_random([n = std::uint64_t{0}]() mutable { return RawId{0xbee, ++n}; });
    next.config.stale_after = Millis(-1000);
    next.start();
    Call late;
    if (const Status queued = old.try_submit(new_organization("late"), World::admin(), {}, {}, late))
        CHECK(late.answer() == Answer{503, "not_leader", false});
    CHECK(next.submit(new_organization("b")).answer().status == 201);
    CHECK(next.engine().stats().epoch == 2);
    CHECK(database.text("SELECT holder FROM market_leader WHERE market = 'main'") == "next");
    CHECK(database.number("SELECT count(*) FROM organizations WHERE name = 'late'") == 0);

    // The new one stops: the old one takes the row, reads what it missed, and goes on.
    next.stop();
    const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    Call again;
    while (old.engine().stats().epoch < 3 ||
           !old.try_submit(new_organization("b"), World::admin(), {}, {}, again)) {
        REQUIRE(std::chrono::steady_clock::now() < give_up_at);
        std::this_thread::yield();
    }
    CHECK(again.answer().body == "name_taken");
    old.stop();
    check_tables(url);
}

TEST_CASE("Ten thousand active leases are loaded") {
    const std::string url = fresh_database();
    World world;
    world.check_every(1'000'000);
    const auto seller = world.organization("seller");
    const auto renter = world.organization("renter");
    world.deposit(renter, usd(100'000));
    for (int i = 0; i < 10; ++i)
        world.listing(world.host(seller, a_host().name("host-" + std::to_string(i)).cards(1000)));
    for (int i = 0; i < 10'000; ++i)
        world.rent(renter, an_order().job());
    PostgresEngine engine(url);
    const auto leadership = engine.store().take_leadership("main", {"setup", ""}, Millis(-1000));
    REQUIRE(leadership);
    engine::Batch batch;
    batch.changes = world.all_changes();
    batch.journal = {"main", 1, leadership->epoch, world.now(), "{}", engine::next_chain("", "{}")};
    const auto result = engine.store().commit(batch);
    INFO(result.detail);
    REQUIRE(result.outcome == engine::CommitOutcome::committed);
    engine.store().release_leadership("main", leadership->epoch);

    const auto begun = std::chrono::steady_clock::now();
    engine.start();
    const auto spent = std::chrono::steady_clock::now() - begun;
    std::cout << "10,000 active leases loaded in "
              << std::chrono::duration_cast<std::chrono::milliseconds>(spent).count() << " ms\n";
    CHECK(engine.engine().stats().active_leases == 10'000);
    CHECK(engine.submit(PlaceOrder(an_order().fill_or_kill()), World::by(renter)).answer().body ==
          "no_match");
}
