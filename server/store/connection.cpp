#include "store/connection.hpp"

#include <csignal>
#include <mutex>
#include <string_view>

namespace fallow::store {
namespace {

/// The name between the quotes after `constraint "` in a message of the server.
std::string constraint_in(std::string_view message) {
    constexpr std::string_view mark = "constraint \"";
    const auto start = message.find(mark);
    if (start == std::string_view::npos) return {};
    message.remove_prefix(start + mark.size());
    return std::string(message.substr(0, message.find('"')));
}

/// libpqxx 6.4 forgets the SQLSTATE of some of its exceptions, whose types still tell it.
std::string sqlstate_of(const pqxx::sql_error& error) {
    if (!error.sqlstate().empty()) return error.sqlstate();
    if (dynamic_cast<const pqxx::insufficient_privilege*>(&error) != nullptr) return "42501";
    if (dynamic_cast<const pqxx::integrity_constraint_violation*>(&error) != nullptr) return "23000";
    if (dynamic_cast<const pqxx::data_exception*>(&error) != nullptr) return "22000";
    if (dynamic_cast<const pqxx::syntax_error*>(&error) != nullptr) return "42601";
    if (dynamic_cast<const pqxx::insufficient_resources*>(&error) != nullptr) return "53000";
    return {};
}

DatabaseError error_from(const pqxx::sql_error& error) {
    const std::string message = error.what();
    const std::string sqlstate = sqlstate_of(error);
    return {fault_of(sqlstate), sqlstate, constraint_in(message), message};
}

bool is_uri(const std::string& url) {
    return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

}  // namespace

/// Classes of SQLSTATE, appendix A of the PostgreSQL manual.
Fault fault_of(std::string_view sqlstate) {
    const std::string_view group = sqlstate.substr(0, 2);
    if (group == "23" || group == "22" || sqlstate == "42501" || sqlstate == "P0001")
        return Fault::constraint;
    if (group == "40") return Fault::serialization;
    if (sqlstate == "57014" || sqlstate == "55P03" || sqlstate == "25P03") return Fault::timeout;
    if (group == "08" || sqlstate.starts_with("57P")) return Fault::connection;
    return Fault::other;
}

void ignore_sigpipe() {
    static std::once_flag once;
    std::call_once(once, [] {
        if (std::signal(SIGPIPE, SIG_IGN) == SIG_ERR) throw std::runtime_error("cannot ignore SIGPIPE");
    });
}

std::string session_setup(const ConnectionSettings& settings) {
    const auto setting = [](std::string_view name, Millis value) {
        return "SET " + std::string(name) + " = " + std::to_string(value.count) + ";";
    };
    std::string setup =
        "SET application_name = " + Connection::quote(settings.application_name) + ";" +
        setting("statement_timeout", settings.statement_timeout) +
        setting("lock_timeout", settings.lock_timeout) +
        setting("idle_in_transaction_session_timeout", settings.idle_in_transaction_timeout) +
        "SET synchronous_commit = on; SET client_encoding = 'UTF8';"
        "SET standard_conforming_strings = on;";
    if (!settings.role.empty()) setup += "SET ROLE " + Connection::quote(settings.role) + ";";
    return setup;
}

std::string with_network_limits(const std::string& url) {
    constexpr std::string_view limits[][2] = {{"connect_timeout", "5"},
                                              {"keepalives_idle", "5"},
                                              {"keepalives_interval", "2"},
                                              {"keepalives_count", "2"},
                                              {"tcp_user_timeout", "9000"}};
    const bool uri = is_uri(url);
    std::string result = url;
    for (const auto& [name, value] : limits) {
        if (url.find(std::string(name) + "=") != std::string::npos) continue;
        if (uri) {
            result.push_back(result.find('?') == std::string::npos ? '?' : '&');
        } else {
            result.push_back(' ');
        }
        result.append(name).append("=").append(value);
    }
    return result;
}

Connection::Connection(ConnectionSettings settings) : settings_(std::move(settings)) {
    ignore_sigpipe();
    open();
}

Connection::~Connection() {
    close();
}

void Connection::close() noexcept {
    channel_.reset();
    session_.reset();
    prepared_.clear();
    broken_ = true;
}

void Connection::reconnect() {
    close();
    open();
}

void Connection::open() {
    try {
        session_ = std::make_unique<pqxx::connection>(with_network_limits(settings_.url));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        session_->inhibit_reactivation(true);  // deprecated with no other way to say it in libpqxx 6
#pragma GCC diagnostic pop
        channel_ = std::make_unique<pqxx::nontransaction>(*session_);
    } catch (const std::exception& error) {
        close();
        throw DatabaseError(Fault::connection, "08001", {}, error.what());
    }
    broken_ = false;
    exec(session_setup(settings_));
}

template <class Call>
pqxx::result Connection::guarded(Call&& call) {
    if (broken_) throw DatabaseError(Fault::connection, "08003", {}, "the database session is broken");
    try {
        return call();
    } catch (const pqxx::broken_connection& error) {
        broken_ = true;
        throw DatabaseError(Fault::connection, "08006", {}, error.what());
    } catch (const pqxx::sql_error& error) {
        const DatabaseError translated = error_from(error);
        if (translated.fault() == Fault::connection || !session_->is_open()) broken_ = true;
        throw translated;
    } catch (const pqxx::transaction_rollback& error) {
        throw DatabaseError(Fault::serialization, "40001", {}, error.what());
    } catch (const std::exception& error) {
        broken_ = broken_ || !session_->is_open();
        throw DatabaseError(broken_ ? Fault::connection : Fault::other, {}, {}, error.what());
    }
}

pqxx::result Connection::exec(const std::string& sql) {
    return guarded([&] { return channel_->exec(sql); });
}

namespace {

/// libpqxx takes a C string for a parameter that may be NULL.
std::vector<const char*> pointers(const Parameters& parameters) {
    std::vector<const char*> result;
    result.reserve(parameters.size());
    for (const Parameter& parameter : parameters) {
        // A C string ends at its first NUL: the rest of the value would be lost without a word.
        if (parameter && parameter->find('\0') != std::string::npos)
            throw DatabaseError(Fault::constraint, "22021", {}, "a text value contains a NUL character");
        result.push_back(parameter ? parameter->c_str() : nullptr);
    }
    return result;
}

std::vector<pqxx::binarystring> binaries(const BinaryParameters& parameters) {
    std::vector<pqxx::binarystring> result;
    result.reserve(parameters.values.size());
    for (const std::string& value : parameters.values)
        result.emplace_back(value);
    return result;
}

}  // namespace

pqxx::result Connection::query_with(const std::string& sql, const Parameters& parameters) {
    const std::vector<const char*> values = pointers(parameters);
    return guarded([&] { return channel_->exec_params(sql, pqxx::prepare::make_dynamic_params(values)); });
}

pqxx::result Connection::query_with(const std::string& sql, const BinaryParameters& parameters) {
    const std::vector<pqxx::binarystring> values = binaries(parameters);
    return guarded([&] { return channel_->exec_params(sql, pqxx::prepare::make_dynamic_params(values)); });
}

pqxx::result Connection::prepared(const std::string& name, const std::string& sql,
                                  const Parameters& parameters) {
    return exec_prepared(name, sql, pointers(parameters));
}

pqxx::result Connection::prepared(const std::string& name, const std::string& sql,
                                  const BinaryParameters& parameters) {
    return exec_prepared(name, sql, binaries(parameters));
}

template <class Values>
pqxx::result Connection::exec_prepared(const std::string& name, const std::string& sql,
                                       const Values& values) {
    return guarded([&] {
        if (!prepared_.contains(name)) {
            session_->prepare(name, sql);
            prepared_.insert(name);
        }
        return channel_->exec_prepared(name, pqxx::prepare::make_dynamic_params(values));
    });
}

std::string Connection::quote(const std::string& text) {
    std::string result("'");
    for (const char c : text) {
        if (c == '\'') result.push_back('\'');
        result.push_back(c);
    }
    result.push_back('\'');
    return result;
}

}  // namespace fallow::store
