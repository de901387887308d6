#include "store/migrate.hpp"

#include <fmt/format.h>

#include "store/row_reader.hpp"
#include "store/transaction.hpp"

namespace fallow::store {
namespace {

/// An advisory lock is enough here: it is taken and given back with the transaction.
constexpr const char* begin_sql =
    "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'; "
    "SELECT pg_advisory_xact_lock(hashtext('fallow schema migration'))";

/// The highest version applied, 0 in an empty database.
int version_of(Transaction& tx) {
    if (tx.exec("SELECT to_regclass('public.schema_version')")[0][0].is_null()) return 0;
    return read_cell<std::int32_t>(
        tx.exec("SELECT coalesce(max(version), 0) FROM public.schema_version")[0][0]);
}

int newest() {
    return migrations().back().version;
}

/// Whether `migration` was missing.
bool apply(Connection& connection, const Migration& migration) {
    Transaction tx(connection, begin_sql);
    const int found = version_of(tx);
    if (found > newest())
        throw std::runtime_error(
            fmt::format("the database has schema version {}, newer than {}, which this program knows",
                        found, newest()));
    if (found >= migration.version) return false;
    tx.exec(std::string(migration.sql));
    tx.exec("RESET ROLE");
    tx.query("INSERT INTO public.schema_version (version, name) VALUES ($1, $2)", migration.version,
             migration.name);
    tx.commit();
    return true;
}

}  // namespace

int migrate(const std::string& url, const std::function<void(const Migration&)>& applied) {
    Connection connection({.url = url, .application_name = "fallowd migrate"});
    int count = 0;
    for (const Migration& migration : migrations()) {
        if (!apply(connection, migration)) continue;
        ++count;
        if (applied) applied(migration);
    }
    return count;
}

SchemaCheck check_schema(Connection& connection) {
    // The login role has no rights of its own. In a cluster that was never migrated there is no role to
    // take.
    const bool has_roles = !connection.exec("SELECT FROM pg_roles WHERE rolname = 'fallow_auth'").empty();
    const int found = has_roles ? run_as(connection, Actor::auth(), version_of) : 0;
    SchemaCheck check{SchemaState::equal, found, newest(),
                      "the schema is the one this program was built with"};
    if (found < check.expected) {
        check.state = SchemaState::older;
        check.message = fmt::format(
            "the database has schema version {} and this program needs {}: run "
            "`fallowd migrate --database-url URL` with a role that may create roles",
            found, check.expected);
    } else if (found > check.expected) {
        check.state = SchemaState::newer;
        check.message = fmt::format(
            "the database has schema version {}, newer than {}: run a fallowd at least as new as the one "
            "that "
            "migrated it",
            found, check.expected);
    }
    return check;
}

}  // namespace fallow::store
