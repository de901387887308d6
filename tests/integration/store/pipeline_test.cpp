// The write path's own session: what its statements in one round trip do, and what a failure among them
// leaves.
#include "store/pipeline.hpp"

#include <catch2/catch.hpp>

#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using store::BinaryParameters;
using store::Connection;
using store::DatabaseError;
using store::Pipeline;
using store::PipelinedTransaction;

class PipelineFixture {
  public:
    PipelineFixture() : superuser({.url = PostgresFixture::as_superuser(database.url)}) {
        superuser.exec(
            "CREATE TABLE pieces (id bigint CONSTRAINT pieces_once PRIMARY KEY, text text NOT NULL)");
    }

    void insert(PipelinedTransaction& tx, std::int64_t id, const std::string& text) {
        tx.queue("insert_piece", "INSERT INTO pieces VALUES ($1, $2)",
                 {{store::binary_of(id), store::binary_of(text)}});
    }
    void rename_all(PipelinedTransaction& tx, const std::string& text) {
        tx.queue("rename_pieces", "UPDATE pieces SET text = $1", {{store::binary_of(text)}});
    }
    std::string pieces() {
        return superuser
            .exec("SELECT coalesce(string_agg(id || text, ',' ORDER BY id), '') FROM pieces")[0][0]
            .as<std::string>();
    }

    SeededDatabase database;
    Connection superuser;
    Pipeline pipeline{{.url = PostgresFixture::as_superuser(database.url)}};
};

TEST_CASE_METHOD(PipelineFixture, "a pipeline answers with the rows of each statement", "[pipeline]") {
    PipelinedTransaction tx(pipeline);
    insert(tx, 1, "a");
    insert(tx, 2, "it's \"b\" \\");
    rename_all(tx, "ü{}");
    CHECK(tx.run() == std::vector<std::size_t>{1, 1, 2});
    CHECK(pieces().empty());
    tx.commit();
    CHECK(pieces() == "1ü{},2ü{}");
}

TEST_CASE_METHOD(PipelineFixture, "what follows a failed statement is not run, and the session lives on",
                 "[pipeline]") {
    {
        PipelinedTransaction tx(pipeline);
        insert(tx, 1, "a");
        insert(tx, 1, "twice");
        // Prepared behind the failure, so it is not: the next use must prepare it again.
        rename_all(tx, "renamed");
        try {
            tx.run();
            FAIL("a violated constraint went unnoticed");
        } catch (const DatabaseError& error) {
            CHECK(error.fault() == store::Fault::constraint);
            CHECK(error.constraint() == "pieces_once");
            CHECK(error.sqlstate() == "23505");
        }
    }
    CHECK(pieces().empty());
    PipelinedTransaction again(pipeline);
    insert(again, 1, "a");
    rename_all(again, "renamed");
    CHECK(again.run() == std::vector<std::size_t>{1, 1});
    again.commit();
    CHECK(pieces() == "1renamed");
}

TEST_CASE_METHOD(PipelineFixture, "statements and their commit in one round trip: all of it, or nothing",
                 "[pipeline]") {
    {
        PipelinedTransaction tx(pipeline);
        insert(tx, 1, "a");
        insert(tx, 2, "b");
        CHECK(tx.run_and_commit() == std::vector<std::size_t>{1, 1});
    }
    CHECK(pieces() == "1a,2b");
    {
        PipelinedTransaction tx(pipeline);
        insert(tx, 3, "c");
        insert(tx, 1, "twice");
        try {
            tx.run_and_commit();
            FAIL("a violated constraint went unnoticed");
        } catch (const DatabaseError& error) {
            CHECK(error.fault() == store::Fault::constraint);
        }
    }
    CHECK(pieces() == "1a,2b");
    CHECK_FALSE(pipeline.is_broken());
    PipelinedTransaction again(pipeline);
    insert(again, 3, "c");
    again.run_and_commit();
    CHECK(pieces() == "1a,2b,3c");
}

TEST_CASE_METHOD(PipelineFixture,
                 "a session that ends before its commit is run is no doubt, in one round trip",
                 "[pipeline]") {
    superuser.exec(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM 1; RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON pieces DEFERRABLE INITIALLY IMMEDIATE "
        "FOR EACH ROW EXECUTE FUNCTION die()");
    const auto fault_of_commit = [&] {
        try {
            PipelinedTransaction tx(pipeline);
            insert(tx, 1, "a");
            tx.run_and_commit();
            FAIL("it has ended nevertheless");
        } catch (const DatabaseError& error) {
            CHECK(pipeline.is_broken());
            return error.fault();
        }
        return store::Fault::constraint;
    };
    CHECK(fault_of_commit() == store::Fault::connection);
    // Now its COMMIT ends it.
    superuser.exec("DROP TRIGGER die ON pieces");
    superuser.exec(
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON pieces DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()");
    pipeline.reconnect();
    CHECK(fault_of_commit() == store::Fault::in_doubt);
    CHECK(pieces().empty());
}

TEST_CASE_METHOD(PipelineFixture, "a transaction that is left open is rolled back", "[pipeline]") {
    {
        PipelinedTransaction tx(pipeline);
        insert(tx, 1, "a");
        tx.run();
    }
    CHECK(pieces().empty());
    CHECK_FALSE(pipeline.is_broken());
}

TEST_CASE_METHOD(PipelineFixture, "a session that was ended is broken until it is made anew",
                 "[pipeline]") {
    superuser.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
        "datname = current_database() AND backend_type = 'client backend'");
    PipelinedTransaction tx(pipeline);
    insert(tx, 1, "a");
    CHECK_THROWS_AS(tx.run(), DatabaseError);
    CHECK(pipeline.is_broken());
    pipeline.reconnect();
    PipelinedTransaction again(pipeline);
    insert(again, 1, "a");
    again.run();
    again.commit();
    CHECK(pieces() == "1a");
}

TEST_CASE_METHOD(PipelineFixture, "128-bit integers travel exactly", "[pipeline]") {
    const char* const text =
        GENERATE("0", "1", "-1", "9999", "10000", "-10000", "100000000", "123456789012345", "3600000000",
                 "85070591730234615865843651857942052864", "-99999999999999999999999999999999999999");
    const Int128 value = parse_decimal(text).value_or(7);
    const auto read = superuser.query_with("SELECT $1::numeric::text, $1::numeric = $2::text::numeric",
                                           BinaryParameters{{store::binary_of(value), std::string(text)}});
    CHECK(read[0][0].as<std::string>() == text);
    CHECK(read[0][1].as<bool>());
}

}  // namespace
}  // namespace fallow::test
