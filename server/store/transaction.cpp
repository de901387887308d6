#include "store/transaction.hpp"

#include <string_view>

#include "base/assert.hpp"

namespace fallow::store {

Actor::Actor(const std::string& role, const std::string& settings)
    : begin_sql_("BEGIN; SET LOCAL ROLE " + role + ";" + settings) {}

Actor Actor::request(OrganizationId organization) {
    // A uuid's text has no character that needs quoting.
    return Actor("fallow_request",
                 " SET LOCAL fallow.organization = '" + format_uuid(organization.raw) + "';");
}

Actor Actor::agent(HostId host) {
    return Actor("fallow_agent", " SET LOCAL fallow.host = '" + format_uuid(host.raw) + "';");
}

Transaction::Transaction(Connection& connection, const std::string& begin_sql) : connection_(connection) {
    FALLOW_ASSERT(begin_sql.starts_with("BEGIN"));
    try {
        begun_ = connection_.exec(begin_sql);
        open_ = true;
    } catch (const DatabaseError&) {
        if (!connection_.is_broken()) connection_.exec("ROLLBACK");
        throw;
    }
}

Transaction::~Transaction() {
    if (!open_ || connection_.is_broken()) return;
    try {
        connection_.exec("ROLLBACK");
    } catch (const std::exception&) {
        // Whatever is left of the transaction ends with the session.
        connection_.mark_broken();
    }
}

template <class Call>
pqxx::result Transaction::tracked(Call&& call) {
    try {
        return call();
    } catch (...) {
        failed_ = true;
        throw;
    }
}

pqxx::result Transaction::exec(const std::string& sql) {
    return tracked([&] { return connection_.exec(sql); });
}

pqxx::result Transaction::query_with(const std::string& sql, const Parameters& parameters) {
    return tracked([&] { return connection_.query_with(sql, parameters); });
}

pqxx::result Transaction::query_with(const std::string& sql, const BinaryParameters& parameters) {
    return tracked([&] { return connection_.query_with(sql, parameters); });
}

pqxx::result Transaction::prepared(const std::string& name, const std::string& sql,
                                   const Parameters& parameters) {
    return tracked([&] { return connection_.prepared(name, sql, parameters); });
}

pqxx::result Transaction::prepared(const std::string& name, const std::string& sql,
                                   const BinaryParameters& parameters) {
    return tracked([&] { return connection_.prepared(name, sql, parameters); });
}

void Transaction::commit() {
    FALLOW_ASSERT(open_ && !failed_);
    open_ = false;
    try {
        connection_.exec("COMMIT");
    } catch (const DatabaseError& error) {
        // A session that broke here may have committed first. A refusal that came as an answer is a
        // rollback.
        if (connection_.is_broken())
            throw DatabaseError(Fault::in_doubt, error.sqlstate(), error.constraint(), error.what());
        throw;
    }
}

}  // namespace fallow::store
