// The schema's migrations, which are part of the program, and the check that a database has them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace fallow::store {

/// One file of schema/migrations, in the order of its number.
struct Migration {
    int version = 0;
    std::string_view name;
    std::string_view sql;
};

[[nodiscard]] const std::vector<Migration>& migrations();

/// Applies what is missing, each migration in a transaction of its own, under a lock that makes a second
/// caller wait. `url` logs in as a superuser, or as a role that may create roles and owns the database.
/// Returns how many were applied; throws DatabaseError, and std::runtime_error for a schema newer than this
/// program.
[[nodiscard]] int migrate(const std::string& url,
                          const std::function<void(const Migration&)>& applied = {});

enum class SchemaState { equal, older, newer };

struct SchemaCheck {
    SchemaState state = SchemaState::older;
    int found = 0;
    int expected = 0;
    std::string message;  ///< for an operator; names the command that helps
};

/// Whether the database has the schema this program was built with. Any role may ask.
[[nodiscard]] SchemaCheck check_schema(Connection& connection);

}  // namespace fallow::store
