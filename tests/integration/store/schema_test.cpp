// The migrations and schema/schema.sql say the same, and a database tells which of them it has.
#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "store/connection.hpp"
#include "store/migrate.hpp"
#include "store/transaction.hpp"
#include "support/paths.hpp"
#include "support/postgres_fixture.hpp"

namespace fallow::test {
namespace {

using store::Connection;
using store::SchemaState;

/// `pg_dump --schema-only`, less the lines that differ from one run to the next.
std::string dump_of(const std::string& superuser_url) {
    std::string command = "/usr/lib/postgresql/15/bin/pg_dump --schema-only \"" + superuser_url + "\"";
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string text;
    std::array<char, 4096> line{};
    while (std::fgets(line.data(), line.size(), pipe) != nullptr) {
        const std::string_view read = line.data();
        if (!read.starts_with("\\restrict") && !read.starts_with("\\unrestrict")) text += read;
    }
    REQUIRE(pclose(pipe) == 0);
    return text;
}

std::string rows_of(const std::string& superuser_url) {
    Connection connection({.url = superuser_url});
    std::string text;
    for (const char* table :
         {"organizations", "accounts", "market_leader", "market_settings", "journal_streams"}) {
        const auto rows = connection.exec("SELECT t::text FROM " + std::string(table) + " AS t ORDER BY 1");
        for (const auto& row : rows)
            text += std::string(table) + row[0].c_str() + "\n";
    }
    return text;
}

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    REQUIRE(file);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST_CASE("migrating an empty database gives exactly schema.sql", "[schema]") {
    const std::string migrated = PostgresFixture::instance().empty_database();
    CHECK(store::migrate(migrated) == static_cast<int>(store::migrations().size()));
    const std::string written = PostgresFixture::instance().empty_database();
    {
        Connection connection({.url = written});
        store::Transaction tx(connection, "BEGIN");
        tx.exec(read_file(fallow::testing::source_dir() + "/schema/schema.sql"));
        tx.commit();
    }
    const std::string dump = dump_of(migrated);
    CHECK(dump.size() > 10'000);
    CHECK(dump == dump_of(written));
    CHECK(rows_of(migrated) == rows_of(written));
}

TEST_CASE("every migration can be applied again and changes nothing", "[schema]") {
    const std::string url = PostgresFixture::instance().empty_database();
    REQUIRE(store::migrate(url) > 0);
    const std::string before = dump_of(url);
    CHECK(store::migrate(url) == 0);
    for (const store::Migration& migration : store::migrations()) {
        INFO(migration.name);
        Connection connection({.url = url});
        store::Transaction tx(connection, "BEGIN");
        tx.exec(std::string(migration.sql));
        tx.commit();
    }
    CHECK(dump_of(url) == before);
}

TEST_CASE("a database says whether it is older, equal or newer than the program", "[schema]") {
    const std::string url = PostgresFixture::instance().fresh_database();
    Connection login({.url = url});
    CHECK(store::check_schema(login).state == SchemaState::equal);
    Connection superuser({.url = PostgresFixture::as_superuser(url)});
    superuser.exec("INSERT INTO schema_version (version, name) VALUES (9999, 'from the future')");
    CHECK(store::check_schema(login).state == SchemaState::newer);
    CHECK_THROWS_WITH(store::migrate(PostgresFixture::as_superuser(url)), Catch::Contains("newer"));
    superuser.exec("DELETE FROM schema_version WHERE version > 1");
    const store::SchemaCheck older = store::check_schema(login);
    CHECK(older.state == SchemaState::older);
    CHECK_THAT(older.message, Catch::Contains("fallowd migrate --database-url"));
    Connection empty({.url = PostgresFixture::instance().empty_database()});
    CHECK(store::check_schema(empty).found == 0);
}

TEST_CASE("a migration that fails leaves nothing of itself", "[schema]") {
    const std::string url = PostgresFixture::instance().empty_database();
    Connection superuser({.url = url});
    superuser.exec("CREATE VIEW transfers AS SELECT 1");  // in the way of the second migration
    CHECK_THROWS_AS(store::migrate(url), store::DatabaseError);
    CHECK(superuser.exec("SELECT to_regclass('accounts')")[0][0].is_null());
    superuser.exec("DROP VIEW transfers");
    CHECK(store::migrate(url) == static_cast<int>(store::migrations().size()) - 1);
}

}  // namespace
}  // namespace fallow::test
