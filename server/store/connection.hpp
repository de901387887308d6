// store/: PostgreSQL through libpqxx, and nothing above it. It implements what engine/ and accounts/ ask of
// a database; it decides nothing about the market, knows no HTTP, and never retries what may have happened.
//
// connection.hpp: one session with the database, used by one thread at a time. A session that breaks stays
// broken until reconnect(): libpqxx's silent reconnection would lose the role and the settings.
#pragma once

#include <cstddef>
#include <memory>
#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/time.hpp"
#include "store/binary.hpp"
#include "store/parameters.hpp"

namespace fallow::store {

struct ConnectionSettings {
    std::string url{};  ///< a libpq connection string or URI
    std::string application_name = "fallowd";
    std::string role{};  ///< taken at once and kept; empty where every transaction takes its own
    Millis statement_timeout = seconds(10);
    Millis lock_timeout = seconds(5);
    Millis idle_in_transaction_timeout = seconds(15);
};

/// What a failure means for the caller, as far as it matters which.
enum class Fault {
    constraint,     ///< the rows are refused: an integrity rule, a value out of range, a missing privilege
    serialization,  ///< lost against another transaction; the same one may succeed later
    timeout,        ///< statement, lock or idle timeout
    connection,     ///< the session is gone, and nothing of it was committed
    in_doubt,       ///< the session broke during COMMIT: committed or not, unknown
    other,
};

class DatabaseError : public std::runtime_error {
  public:
    DatabaseError(Fault fault, std::string sqlstate, std::string constraint, const std::string& message)
        : std::runtime_error(message),
          fault_(fault),
          sqlstate_(std::move(sqlstate)),
          constraint_(std::move(constraint)) {}

    [[nodiscard]] Fault fault() const { return fault_; }
    [[nodiscard]] const std::string& sqlstate() const { return sqlstate_; }
    /// The violated constraint's name, or empty.
    [[nodiscard]] const std::string& constraint() const { return constraint_; }

  private:
    Fault fault_;
    std::string sqlstate_;
    std::string constraint_;
};

class Connection {
  public:
    /// Throws DatabaseError (connection) when the database is out of reach.
    explicit Connection(ConnectionSettings settings);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// One or more statements without parameters, in one round trip; the last one's result.
    pqxx::result exec(const std::string& sql);
    /// One statement with parameters $1…, planned anew each time.
    template <class... Values>
    pqxx::result query(const std::string& sql, const Values&... values) {
        return query_with(sql, Parameters{parameter_of(values)...});
    }
    pqxx::result query_with(const std::string& sql, const Parameters& parameters);
    pqxx::result query_with(const std::string& sql, const BinaryParameters& parameters);
    /// The same, prepared under `name` at its first use in this session.
    pqxx::result prepared(const std::string& name, const std::string& sql, const Parameters& parameters);
    pqxx::result prepared(const std::string& name, const std::string& sql,
                          const BinaryParameters& parameters);

    /// A literal for a statement's text. Needs no session: sessions have standard_conforming_strings on.
    [[nodiscard]] static std::string quote(const std::string& text);
    [[nodiscard]] bool is_broken() const { return broken_; }
    void mark_broken() { broken_ = true; }
    /// A new session with the same settings; throws like the constructor.
    void reconnect();

  private:
    template <class Call>
    pqxx::result guarded(Call&& call);
    template <class Values>
    pqxx::result exec_prepared(const std::string& name, const std::string& sql, const Values& values);
    void open();
    void close() noexcept;

    ConnectionSettings settings_;
    std::unique_ptr<pqxx::connection> session_;
    std::unique_ptr<pqxx::nontransaction> channel_;
    std::unordered_set<std::string> prepared_;
    bool broken_ = true;
};

/// What a SQLSTATE of the server means.
[[nodiscard]] Fault fault_of(std::string_view sqlstate);

/// The settings a session begins with, as statements. Its role too, when it has one.
[[nodiscard]] std::string session_setup(const ConnectionSettings& settings);

/// A peer that closes its end must be an error of this session, not the end of the process.
void ignore_sigpipe();

/// `url` with keepalives and timeouts added where it does not state its own: a peer that has vanished is
/// noticed within ten seconds.
[[nodiscard]] std::string with_network_limits(const std::string& url);

}  // namespace fallow::store
