// A private PostgreSQL for one test program, and as many fresh, migrated databases in it as its tests ask
// for.
#pragma once

#include <memory>
#include <string>

#include "store/managed_postgres.hpp"

namespace fallow::test {

class PostgresFixture {
  public:
    /// Started at the first call, stopped and removed at the end of the program.
    [[nodiscard]] static PostgresFixture& instance();
    ~PostgresFixture();
    PostgresFixture(const PostgresFixture&) = delete;
    PostgresFixture& operator=(const PostgresFixture&) = delete;

    /// The connection string of a new, migrated database, for the login role `fallow`.
    [[nodiscard]] std::string fresh_database();
    /// The connection string of a new database without any schema, for the superuser.
    [[nodiscard]] std::string empty_database();
    /// The same database as `url`, for the superuser, who passes by privileges and policies.
    [[nodiscard]] static std::string as_superuser(const std::string& url);

  private:
    PostgresFixture();
    [[nodiscard]] std::string create_database(const std::string& options);

    std::string folder_;
    std::unique_ptr<store::ManagedPostgres> postgres_;
    int databases_ = 0;
};

}  // namespace fallow::test
