// Connections, the workers that own them, and pages.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <future>
#include <mutex>

#include "store/connection.hpp"
#include "store/pages.hpp"
#include "store/worker_pool.hpp"
#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using store::Actor;
using store::Connection;
using store::DatabaseError;
using store::Fault;
using store::Transaction;

int read_cell_one(Connection& connection) {
    return store::read_cell<std::int32_t>(connection.exec("SELECT 1")[0][0]);
}

std::string fresh() {
    return PostgresFixture::instance().fresh_database();
}

Fault fault_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const DatabaseError& error) {
        INFO(error.what());
        return error.fault();
    }
    FAIL("nothing was thrown");
    return Fault::other;
}

TEST_CASE("failures are told apart by what the caller can do about them", "[workers]") {
    const std::string url = fresh();
    Connection connection({.url = PostgresFixture::as_superuser(url), .statement_timeout = Millis(50)});
    CHECK(fault_of([&] { connection.exec("SELECT pg_sleep(10)"); }) == Fault::timeout);
    CHECK(fault_of([&] { connection.exec("SELECT 1/0"); }) == Fault::constraint);
    CHECK(fault_of([&] { connection.exec("SELECT nonsense"); }) == Fault::other);
    CHECK(fault_of([&] { connection.query("SELECT $1::text", std::string("a\0b", 3)); }) ==
          Fault::constraint);
    CHECK(connection.exec("SELECT 1")[0][0].c_str() == std::string("1"));
    CHECK_FALSE(connection.is_broken());

    Connection first({.url = url, .role = "fallow_engine"});
    Connection second({.url = url, .role = "fallow_engine", .lock_timeout = Millis(50)});
    first.exec("BEGIN; UPDATE market_leader SET beat = now()");
    CHECK(fault_of([&] { second.exec("UPDATE market_leader SET beat = now()"); }) == Fault::timeout);
    second.exec("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM market_settings");
    first.exec("COMMIT");
    second.exec("SELECT 1");
    first.exec("UPDATE market_settings SET version = 2");
    CHECK(fault_of([&] { second.exec("UPDATE market_settings SET version = 3"); }) == Fault::serialization);

    CHECK(fault_of([&] {
              first.exec("RESET ROLE; SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(9)");
          }) == Fault::connection);
    CHECK(first.is_broken());
    CHECK(fault_of([&] { first.exec("SELECT 1"); }) == Fault::connection);
    first.reconnect();
    CHECK(first.exec("SELECT current_user")[0][0].c_str() == std::string("fallow_engine"));
    CHECK(fault_of([&] { Connection nowhere({.url = "host=/nonexistent dbname=x"}); }) ==
          Fault::connection);
}

TEST_CASE("a session states its timeouts, its role and its name", "[workers]") {
    Connection connection({.url = fresh(),
                           .application_name = "a 'name'",
                           .role = "fallow_engine",
                           .statement_timeout = Millis(1234),
                           .idle_in_transaction_timeout = Millis(4321)});
    const auto shown = [&](const std::string& name) {
        return std::string(connection.exec("SHOW " + name)[0][0].c_str());
    };
    CHECK(shown("statement_timeout") == "1234ms");
    CHECK(shown("idle_in_transaction_session_timeout") == "4321ms");
    CHECK(shown("application_name") == "a 'name'");
    CHECK(shown("role") == "fallow_engine");
    CHECK(store::with_network_limits("postgresql://h/d?keepalives_idle=9") ==
          "postgresql://h/d?keepalives_idle=9&connect_timeout=5&keepalives_interval=2&keepalives_count=2"
          "&tcp_user_timeout=9000");
    CHECK_THAT(store::with_network_limits("postgresql://h/d"), Catch::Contains("h/d?connect_timeout=5&"));
    CHECK_THAT(store::with_network_limits("host=h"), Catch::StartsWith("host=h connect_timeout=5 "));
}

TEST_CASE("array literals are read as they are written", "[workers]") {
    const std::vector<std::string> words = {"",      "plain", "a \"b\"",   "back\\slash",
                                            "{x,y}", "NULL",  "new\nline", "ü"};
    std::string literal;
    store::append_value(literal, words);
    CHECK(store::parse_array(literal) == words);
    Connection connection({.url = fresh()});
    const auto back = connection.query("SELECT $1::text[], cardinality($1::text[])", words);
    CHECK(store::read_cell<std::vector<std::string>>(back[0][0]) == words);
    CHECK(store::read_cell<std::int32_t>(back[0][1]) == 8);
    CHECK(store::parse_array("{}").empty());
    CHECK_THROWS(store::parse_array("{\"open}"));
    const store::Bytes octets{std::string("\0\x7f\xff'\\", 5)};
    CHECK(store::read_cell<store::Bytes>(connection.query("SELECT $1::bytea", octets)[0][0]).octets ==
          octets.octets);
}

TEST_CASE("a transaction that is not committed, or throws, leaves nothing", "[workers]") {
    Connection connection({.url = fresh()});
    const auto fee = [&] {
        Transaction tx(connection, Actor::engine());
        return store::read_cell<std::int64_t>(tx.exec("SELECT version FROM market_settings")[0][0]);
    };
    { Transaction(connection, Actor::engine()).exec("UPDATE market_settings SET version = 5"); }
    CHECK(fee() == 1);
    CHECK_THROWS_AS(store::run_as(connection, Actor::engine(),
                                  [](Transaction& tx) {
                                      tx.exec("UPDATE market_settings SET version = 5");
                                      throw std::logic_error("no");
                                  }),
                    std::logic_error);
    CHECK(fee() == 1);
    CHECK(store::run_as(connection, Actor::engine(), [](Transaction& tx) {
              tx.exec("UPDATE market_settings SET version = 6");
              return 7;
          }) == 7);
    CHECK(fee() == 6);
    // The role and the binding end with the transaction.
    CHECK(connection
              .exec("SELECT current_user, coalesce(current_setting('fallow.organization', true), '')")[0][0]
              .c_str() == std::string("fallow"));
}

TEST_CASE("workers run what they are given, refuse when full, and drain at the stop", "[workers]") {
    store::WorkerPool pool(
        {.url = fresh()}, 2, [](const std::string&) {}, 3);
    std::promise<void> gate;
    const std::shared_future<void> open(gate.get_future());
    std::promise<void> busy[2];
    for (auto& started : busy) {
        REQUIRE(pool.submit([&started, open](Connection&) {
            started.set_value();
            open.wait();
        }));
    }
    for (auto& started : busy)
        started.get_future().wait();
    std::atomic<int> done = 0;
    const auto count = [&](Connection& connection) { done += read_cell_one(connection); };
    for (int i = 0; i < 3; ++i)
        CHECK(pool.submit(count));
    CHECK(pool.queue_depth() == 3);
    CHECK_FALSE(pool.submit(count));
    gate.set_value();
    pool.stop();
    CHECK(done == 3);
    CHECK_FALSE(pool.submit(count));
}

TEST_CASE("a worker comes back from a broken session and from a work that throws", "[workers]") {
    std::mutex mutex;
    std::vector<std::string> errors;
    store::WorkerPool pool({.url = fresh()}, 1, [&](const std::string& message) {
        const std::lock_guard lock(mutex);
        errors.push_back(message);
    });
    std::promise<int> answer;
    REQUIRE(pool.submit([](Connection& connection) {
        connection.exec("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(9)");
    }));
    REQUIRE(pool.submit([](Connection&) { throw std::runtime_error("work failed"); }));
    REQUIRE(pool.submit([&](Connection& connection) { answer.set_value(read_cell_one(connection)); }));
    CHECK(answer.get_future().get() == 1);
    pool.stop();
    REQUIRE(errors.size() == 2);
    CHECK(errors[1] == "work failed");
}

TEST_CASE("pages go through every row once, newest first, on both sides of a lease", "[workers]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    const auto walk = [&](OrganizationId organization) {
        std::vector<TransferId> seen;
        std::optional<accounts::Position> after;
        Time last(world_now + 1);
        do {
            const auto page = store::run_as(connection, Actor::request(organization), [&](Transaction& tx) {
                return store::read_page<ledger::Transfer>(tx,
                                                          store::transfers_page(organization, 2, after));
            });
            CHECK(page.items.size() <= 2);
            for (const ledger::Transfer& transfer : page.items) {
                CHECK(transfer.at <= last);
                last = transfer.at;
                seen.push_back(transfer.id);
            }
            after = page.next;
        } while (after);
        std::sort(seen.begin(), seen.end());
        CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
        return seen.size();
    };
    CHECK(walk(database.world.renter) == database.world.batch.changes.transfers.inserts.size());
    CHECK(walk(database.world.seller) == 3);
    CHECK(walk(database.world.stranger) == 0);
    const auto leases = [&](OrganizationId organization) {
        return store::run_as(connection, Actor::request(organization), [&](Transaction& tx) {
            return store::read_page<market::Lease>(tx, store::leases_page(organization, 10, {}))
                .items.size();
        });
    };
    CHECK(leases(database.world.renter) == 2);
    CHECK(leases(database.world.seller) == 2);
}

}  // namespace
}  // namespace fallow::test
