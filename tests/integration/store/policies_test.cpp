// Who sees what: every table with a tenant's rows is walked as nobody, as a stranger, as an agent of
// another host.
#include <catch2/catch.hpp>
#include <set>

#include "store/connection.hpp"
#include "store/pages.hpp"
#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using store::Actor;
using store::Connection;
using store::DatabaseError;
using store::Transaction;

/// Tables whose rows belong to an organization, directly or through another table.
std::vector<std::string> tenant_tables(Connection& superuser) {
    std::vector<std::string> tables;
    const auto found = superuser.exec(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', "
        "'p') AND "
        "(relname IN ('organizations', 'artifact_parts', 'lease_cards', 'journal', 'transfers') OR EXISTS "
        "(SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'organization_id')) ORDER "
        "BY 1");
    for (const auto& row : found)
        tables.emplace_back(row[0].c_str());
    return tables;
}

/// Puts a row of the renter's, or of its host, into every table that the world leaves empty.
void fill_the_rest(Connection& superuser, const World& world) {
    const std::string renter = sql(world.renter);
    superuser.exec(
        "INSERT INTO api_keys VALUES (gen_random_uuid(), " + renter +
        ", 'n', 'p', sha256('k'), '{admin}', 1, 2);" +
        "INSERT INTO enrollment_tokens VALUES (gen_random_uuid(), " + renter +
        ", 'h', 'DE', sha256('t'), 1, 2);" + "INSERT INTO saved_searches VALUES (gen_random_uuid(), " +
        renter + ", 'n', 'free', 1);" +
        "INSERT INTO agent_certificates (serial_hex, host_id, issued_at, expires_at) VALUES ('ab', " +
        sql(world.host) + ", 1, 2);" + "INSERT INTO artifacts VALUES (" + sql(world.order) + ", " + renter +
        ", 'a', 1, repeat('a', 64), 'uploading', 0, 1, 2);" + "INSERT INTO artifact_parts VALUES (" +
        sql(world.order) + ", 0, 'x');" + "INSERT INTO job_outputs VALUES (" + sql(world.job) + ", 1, " +
        sql(world.lease) + ", 'out', " + sql(world.order) + ", " + renter + ");" +
        "INSERT INTO job_logs VALUES (" + sql(world.job) + ", 1, 0, 'stdout', 1, 'x', " + renter + ");" +
        "INSERT INTO job_log_heads VALUES (" + sql(world.job) + ", 1, " + renter + ", 1, 1, false, 1);" +
        "INSERT INTO checkpoint_heads VALUES (" + sql(world.job) + ", " + renter + ");" +
        "INSERT INTO checkpoint_chunks VALUES (" + sql(world.job) + ", repeat('a', 64), " + renter +
        ", 1, 'x');" + "INSERT INTO checkpoints VALUES (" + sql(world.job) + ", 1, " + renter + ", 1, " +
        sql(world.lease) + ", 1, 1, 1, 1, '[]', '{}');" +
        "INSERT INTO secrets VALUES (gen_random_uuid(), " + renter +
        ", 'n', 1, 1, 1, 'k', decode(repeat('00', 60), 'hex'), decode(repeat('00', 29), 'hex'));" +
        "INSERT INTO output_chunks VALUES (" + sql(world.job) + ", repeat('a', 64), " + renter +
        ", 1, 'x');" + "INSERT INTO output_heads VALUES (" + sql(world.job) + ", 1, " + renter + ", " +
        sql(world.lease) + ");" + "INSERT INTO tunnels VALUES (" + sql(world.order) + ", " + renter + ", " +
        sql(world.lease) + ", " + sql(world.host) + ", 'a:1', 1);" +
        "INSERT INTO telemetry_cards VALUES (" + sql(world.lease) + ", " + sql(world.card) + ", " + renter +
        ", " + sql(world.seller) + ", NULL, 'nvml', false, NULL, NULL, 1);" +
        "INSERT INTO telemetry_minutes VALUES (" + sql(world.lease) + ", " + sql(world.card) + ", 0, " +
        renter + ", " + sql(world.seller) + ", 1);" + "INSERT INTO gang_members VALUES (" +
        sql(world.lease) + ", " + sql(world.order) + ", 0, " + renter + ", " + sql(world.host) +
        ", repeat('A', 43) || '=', '198.41.0.4:51820', 1);" + "INSERT INTO lease_progress VALUES (" +
        sql(world.lease) + ", " + renter + ", 'pulling_image', 1, NULL, 1);" +
        "UPDATE listings SET state = 'paused'");
}

/// Rows of `table` that `actor` sees; nothing where it may not even look.
std::optional<std::int64_t> seen_by(Connection& connection, const std::string& begin,
                                    const std::string& table) {
    try {
        Transaction tx(connection, begin);
        return store::read_cell<std::int64_t>(tx.exec("SELECT count(*) FROM " + table)[0][0]);
    } catch (const DatabaseError& error) {
        // Without the right to look into the schema its tables do not even exist.
        CHECK((error.sqlstate() == "42501" || error.sqlstate() == "42P01"));
        return std::nullopt;
    }
}

TEST_CASE("row-level security is forced on every tenant table, and nobody escapes it", "[policies]") {
    SeededDatabase database;
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    fill_the_rest(superuser, database.world);
    const std::vector<std::string> tables = tenant_tables(superuser);
    REQUIRE(tables.size() >= 24);
    Connection login({.url = database.url});
    const Actor stranger = Actor::request(database.world.stranger);
    const Actor other_host = Actor::agent(HostId(RawId{9, 9}));
    for (const std::string& table : tables) {
        INFO(table);
        const auto flags =
            superuser.exec("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = '" +
                           table + "'::regclass");
        CHECK(flags[0][0].c_str() == std::string("t"));
        CHECK(flags[0][1].c_str() == std::string("t"));
        const bool has_rows =
            store::read_cell<std::int64_t>(superuser.exec("SELECT count(*) FROM " + table)[0][0]) > 0;
        if (table.find("idempotency_keys_") == std::string::npos) CHECK(has_rows);
        for (const std::string& begin :
             {std::string("BEGIN; SET LOCAL ROLE fallow_request"),
              std::string("BEGIN; SET LOCAL ROLE fallow_request; SET LOCAL fallow.organization = ''"),
              std::string("BEGIN; SET LOCAL ROLE fallow_agent"), other_host.begin_sql()}) {
            CHECK(seen_by(login, begin, table).value_or(0) == 0);
        }
        const std::int64_t own = table == "organizations" ? 1 : 0;
        CHECK(seen_by(login, stranger.begin_sql(), table).value_or(0) == own);
        CHECK_FALSE(seen_by(login, "BEGIN", table));  // the login role has no rights of its own
    }
}

TEST_CASE("no application role owns anything or may become one that does", "[policies]") {
    Connection superuser(
        {.url = PostgresFixture::as_superuser(PostgresFixture::instance().fresh_database())});
    const auto owners = superuser.exec(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = "
        "'public'::regnamespace UNION "
        "SELECT pg_get_userbyid(proowner) FROM pg_proc JOIN pg_depend d ON d.objid = pg_proc.oid AND "
        "false");
    REQUIRE(owners.size() == 1);
    CHECK(owners[0][0].c_str() == std::string("fallow_owner"));
    CHECK(superuser
              .exec("SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef AND "
                    "(pg_get_userbyid(proowner) <> 'fallow_owner' OR proconfig IS NULL OR "
                    "NOT 'search_path=public, pg_temp' = ANY (proconfig))")
              .empty());
    for (const char* role : {"fallow", "fallow_engine", "fallow_request", "fallow_admin", "fallow_auth",
                             "fallow_agent", "fallow_proof"}) {
        INFO(role);
        const auto row = superuser.exec(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolinherit, "
            "pg_has_role(rolname, 'fallow_owner', 'MEMBER') FROM pg_roles WHERE rolname = '" +
            std::string(role) + "'");
        CHECK(row[0][0].c_str() == std::string("f"));
        CHECK(row[0][1].c_str() == std::string("f"));
    }
}

TEST_CASE("a renter and a seller each see their side of a lease, and no more", "[policies]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    const auto count = [&](const Actor& actor, const std::string& table) {
        return seen_by(connection, actor.begin_sql(), table).value_or(-1);
    };
    const Actor renter = Actor::request(database.world.renter);
    const Actor seller = Actor::request(database.world.seller);
    for (const char* table : {"leases", "usage_statements", "receipts", "lease_cards", "reservations"}) {
        INFO(table);
        CHECK(count(renter, table) > 0);
        CHECK(count(seller, table) == count(renter, table));
    }
    for (const char* table : {"orders", "jobs", "job_specs", "idempotency_keys", "bookings"}) {
        INFO(table);
        CHECK(count(renter, table) > 0);
        CHECK(count(seller, table) == 0);
    }
    CHECK(count(renter, "hosts") == 0);
    CHECK(count(renter, "cards") == 0);
    CHECK(count(seller, "cards") == 2);
    CHECK(count(renter, "accounts") == 2);
    CHECK(count(seller, "transfers") == 3);  // the charges it received, not the holds
    CHECK(count(renter, "journal") == -1);
}

TEST_CASE("an open listing shows everybody its cards and its host's public face, and a paused one nobody",
          "[policies]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    const std::string stranger = Actor::request(database.world.stranger).begin_sql();
    CHECK(seen_by(connection, stranger, "listings") == 1);
    CHECK(seen_by(connection, stranger, "listed_cards") == 2);
    CHECK(seen_by(connection, stranger, "listed_hosts") == 1);
    CHECK(seen_by(connection, stranger, "listed_host_records") == 1);
    CHECK(seen_by(connection, stranger, "host_keys") == 1);
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    const auto columns = superuser.exec(
        "SELECT attname FROM pg_attribute WHERE attrelid IN ('public.listed_hosts'::regclass, "
        "'public.listed_cards'::regclass) AND attnum > 0");
    for (const auto& row : columns) {
        CHECK(
            std::set<std::string>{"name", "boot_id", "uuid", "pci_address", "signing_key", "agent_version"}
                .count(row[0].c_str()) == 0);
    }
    market::Changes changes;
    changes.listings.updates = database.world.batch.changes.listings.inserts;
    changes.listings.updates[0].state = market::ListingState::paused;
    REQUIRE(database.commit(changes).outcome == engine::CommitOutcome::committed);
    CHECK(seen_by(connection, stranger, "listings") == 0);
    CHECK(seen_by(connection, stranger, "listed_cards") == 0);
    CHECK(seen_by(connection, stranger, "listed_hosts") == 0);
    CHECK(seen_by(connection, stranger, "listed_host_records") == 0);
}

TEST_CASE("a request cannot write what is another's, nor what only the engine writes", "[policies]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    const World& world = database.world;
    for (const std::string& statement :
         {"UPDATE orders SET state = 'cancelled'" + std::string(),
          "UPDATE organizations SET status = 'active'" + std::string(),
          "INSERT INTO transfers SELECT * FROM transfers" + std::string(),
          "INSERT INTO api_keys VALUES (gen_random_uuid(), " + sql(world.seller) +
              ", 'n', 'p', sha256('x'), '{admin}', 1, 2)",
          "INSERT INTO saved_searches VALUES (gen_random_uuid(), " + sql(world.seller) +
              ", 'n', 'free', 1)",
          "INSERT INTO idempotency_keys VALUES (" + sql(world.seller) + ", 'r', 'k', '', 200, '', 1)",
          "INSERT INTO artifacts VALUES (gen_random_uuid(), " + sql(world.seller) +
              ", 'a', 1, repeat('a', 64), 'uploading', 0, 1, 2)",
          "SELECT sealed FROM secrets" + std::string(), "SELECT hash FROM api_keys" + std::string(),
          "SELECT fallow_maintain(1)" + std::string()}) {
        INFO(statement);
        Transaction tx(connection, Actor::request(world.renter));
        CHECK_THROWS_AS(tx.exec(statement), DatabaseError);
    }
}

TEST_CASE("an agent reaches its leases' jobs and their organization's files while the lease is its own",
          "[policies]") {
    SeededDatabase database;
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    fill_the_rest(superuser, database.world);
    Connection connection({.url = database.url});
    const std::string agent = Actor::agent(database.world.host).begin_sql();
    for (const char* table :
         {"jobs", "job_specs", "artifacts", "artifact_parts", "job_outputs", "job_logs"}) {
        INFO(table);
        CHECK(seen_by(connection, agent, table) == 1);
    }
    CHECK(seen_by(connection, agent, "orders") == std::nullopt);
    superuser.exec(
        "UPDATE leases SET released = true, state = 'ended', end_reason = 'host_lost', ended_at = 1, "
        "held_micros = 0");
    for (const char* table : {"artifacts", "artifact_parts", "job_outputs", "job_logs"}) {
        INFO(table);
        CHECK(seen_by(connection, agent, table) == 0);
    }
}

TEST_CASE("the parts of a complete artifact cannot be written again", "[policies]") {
    SeededDatabase database;
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    fill_the_rest(superuser, database.world);
    Connection connection({.url = database.url});
    const Actor renter = Actor::request(database.world.renter);
    store::run_as(connection, renter, [](Transaction& tx) {
        tx.exec("UPDATE artifact_parts SET data = 'y'");
        tx.exec("UPDATE artifacts SET state = 'complete'");
    });
    CHECK_THROWS_AS(store::run_as(connection, renter,
                                  [](Transaction& tx) { tx.exec("UPDATE artifact_parts SET data = 'z'"); }),
                    DatabaseError);
}

}  // namespace
}  // namespace fallow::test
