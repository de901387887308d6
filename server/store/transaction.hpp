// Transactions: begun in one round trip with the role they act as, rolled back unless committed.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "base/ids.hpp"
#include "store/connection.hpp"

namespace fallow::store {

/// Whom a transaction acts as: a role of the database, and what it is bound to.
class Actor {
  public:
    [[nodiscard]] static Actor request(OrganizationId organization);
    [[nodiscard]] static Actor agent(HostId host);
    [[nodiscard]] static Actor admin() { return Actor("fallow_admin"); }
    [[nodiscard]] static Actor auth() { return Actor("fallow_auth"); }
    [[nodiscard]] static Actor engine() { return Actor("fallow_engine"); }
    [[nodiscard]] static Actor proof() { return Actor("fallow_proof"); }

    /// The statements that a transaction of this actor begins with.
    [[nodiscard]] const std::string& begin_sql() const { return begin_sql_; }

  private:
    explicit Actor(const std::string& role, const std::string& settings = {});
    std::string begin_sql_;
};

class Transaction {
  public:
    Transaction(Connection& connection, const Actor& actor) : Transaction(connection, actor.begin_sql()) {}
    /// `begin_sql` starts with BEGIN; whatever follows runs in the same round trip.
    Transaction(Connection& connection, const std::string& begin_sql);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    pqxx::result exec(const std::string& sql);
    template <class... Values>
    pqxx::result query(const std::string& sql, const Values&... values) {
        return query_with(sql, Parameters{parameter_of(values)...});
    }
    pqxx::result query_with(const std::string& sql, const Parameters& parameters);
    pqxx::result query_with(const std::string& sql, const BinaryParameters& parameters);
    pqxx::result prepared(const std::string& name, const std::string& sql, const Parameters& parameters);
    pqxx::result prepared(const std::string& name, const std::string& sql,
                          const BinaryParameters& parameters);
    /// Throws DatabaseError with Fault::in_doubt when the session breaks while it waits for the answer.
    void commit();

    /// What the statements of begin_sql gave last.
    [[nodiscard]] const pqxx::result& begun() const { return begun_; }

  private:
    template <class Call>
    pqxx::result tracked(Call&& call);

    Connection& connection_;
    pqxx::result begun_;
    bool open_ = false;
    bool failed_ = false;  ///< a statement was refused: COMMIT would quietly roll back
};

/// Runs `work(transaction)` as `actor` and commits; an exception rolls back and passes on.
template <class Work>
auto run_as(Connection& connection, const Actor& actor, Work&& work)
    -> std::invoke_result_t<Work&, Transaction&> {
    Transaction tx(connection, actor);
    if constexpr (std::is_void_v<std::invoke_result_t<Work&, Transaction&>>) {
        work(tx);
        tx.commit();
    } else {
        auto result = work(tx);
        tx.commit();
        return result;
    }
}

}  // namespace fallow::store
