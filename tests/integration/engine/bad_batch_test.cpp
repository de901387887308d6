// A command that violates a constraint costs only itself its answer, whatever the constraint and wherever
// the command stands in its batch.
#include "engine/journal.hpp"
#include "postgres_engine.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using fallow::test::PostgresFixture;

namespace {

Command new_organization(const std::string& name) {
    return EngineUnderTest::new_organization(name);
}

/// A market of two renters with money and a listed host, in the database and led by nobody.
struct Prepared {
    explicit Prepared(const std::string& url) : engine(url) {
        world.listing(world.host(world.organization("seller"), a_host().cards(8)));
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
    World world;
    const OrganizationId renter = world.rich("renter");
    const OrganizationId other = world.rich("other");
    PostgresEngine engine;
};

/// A rule of the database that the market does not know, and the command that breaks it.
struct Poison {
    std::string constraint;
    std::string planted;  ///< makes the database disagree with the market's memory
    Command command;
};

std::vector<Poison> poisons(const Prepared& prepared) {
    const std::string renter = format_uuid(prepared.renter.raw);
    return {
        {"organizations_name_unique",
         "INSERT INTO organizations VALUES ('00000000-0000-0000-0000-00000000dead', 'taken', 'DE', "
         "'active', "
         "0, 1)",
         new_organization("taken")},
        {"accounts_balance_floor",
         "UPDATE accounts SET balance_micros = 1 WHERE kind = 'available' AND organization_id = '" +
             renter + "'",
         Withdraw{prepared.renter, ledger::AccountKind::available, usd(1), "out"}},
        {"planted_check", "ALTER TABLE market_settings ADD CONSTRAINT planted_check CHECK (fee_ppm <> 77)",
         SetFee{77}},
        {"planted_trigger",
         "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.target = 'bad' "
         "THEN "
         "RAISE EXCEPTION 'planted_trigger' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$; "
         "CREATE TRIGGER planted BEFORE INSERT ON freezes FOR EACH ROW EXECUTE FUNCTION planted()",
         CreateFreeze{FreezeKind::image, "bad", ""}},
    };
}

}  // namespace

TEST_CASE("Of a batch with four poisoned commands, each for another constraint, all the others commit") {
    const std::string url = PostgresFixture::instance().fresh_database();
    Prepared prepared(url);
    PostgresEngine& engine = prepared.engine;
    Superuser database(url);
    int counted = 0;
    engine.on_quarantined = [&] { ++counted; };
    engine.start();
    const auto planted = poisons(prepared);
    for (const Poison& poison : planted)
        database.exec(poison.planted);

    database.hold_commits();
    Call blocker = engine.submit(new_organization("blocker"));
    database.wait_until_blocked();
    std::vector<Call> good;
    std::vector<Call> bad;
    std::string names;
    for (std::size_t at = 0; at < planted.size(); ++at) {
        const std::string name = "good " + std::to_string(at);
        good.push_back(engine.submit(new_organization(name)));
        bad.push_back(engine.submit(planted[at].command, World::admin(), "key " + std::to_string(at)));
        good.push_back(engine.submit(PlaceOrder(an_order().job()), World::by(prepared.other)));
        names += name + ' ';
    }
    good.back().wait_decided();
    database.let_go();

    CHECK(blocker.answer().status == 201);
    for (Call& call : good)
        CHECK(call.answer().status < 300);
    for (Call& call : bad)
        CHECK(call.answer() == Answer{500, "quarantined", false});
    CHECK(counted == static_cast<int>(planted.size()));
    CHECK(engine.engine().stats().quarantined == planted.size());
    for (const Poison& poison : planted)
        CHECK(engine.log().find(poison.constraint) != std::string::npos);
    CHECK(database.text("SELECT string_agg(name || ' ', '' ORDER BY created_at, name) FROM organizations "
                        "WHERE name LIKE 'good %'") == names);
    CHECK(database.number("SELECT count(*) FROM leases WHERE state = 'allocated'") == 4);
    CHECK(database.number("SELECT count(*) FROM idempotency_keys") == 0);
    CHECK(database.number("SELECT count(*) FROM freezes") == 0);
    CHECK(database.number("SELECT fee_ppm FROM market_settings WHERE market = 'main'") == 0);
    // What was taken back in memory is as if it had never been: the engine goes on, and so does a new one.
    CHECK(engine.submit(SetFee{78}).answer().status == 200);
    engine.stop();
    PostgresEngine next(url);
    next.start();
    CHECK(next.submit(new_organization("good 0")).answer().body == "name_taken");
    CHECK(next.engine().stats().active_leases == 4);
}

TEST_CASE("A deadline that PostgreSQL refuses does not keep the others from passing") {
    const std::string url = PostgresFixture::instance().fresh_database();
    Prepared prepared(url);
    PostgresEngine& engine = prepared.engine;
    Superuser database(url);
    engine.start();
    for (int i = 0; i < 3; ++i)
        engine
            .submit(PlaceOrder(an_order().price_max(usd(0, 1)).expires_in(minutes(1))),
                    World::by(prepared.other))
            .answer();
    database.exec(
        "ALTER TABLE orders ADD COLUMN is_stuck boolean NOT NULL DEFAULT false;"
        "UPDATE orders SET is_stuck = true WHERE id = (SELECT min(id::text)::uuid FROM orders);"
        "ALTER TABLE orders ADD CONSTRAINT planted_deadline CHECK (NOT is_stuck OR state <> 'expired')");
    engine.pass(minutes(2));
    const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (database.number("SELECT count(*) FROM orders WHERE state = 'expired'") < 2 ||
           engine.engine().stats().quarantined < 2)
        REQUIRE(std::chrono::steady_clock::now() < give_up_at);
    CHECK(database.number("SELECT count(*) FROM orders WHERE state = 'standing' AND is_stuck") == 1);
    CHECK(engine.log().find("planted_deadline") != std::string::npos);
    CHECK(engine.submit(new_organization("still here")).answer().status == 201);
}
