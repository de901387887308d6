// Engines on a real PostgreSQL, each with two connections of its own.
#pragma once

#include "store/connection.hpp"
#include "store/market_store.hpp"
#include "support/engine_under_test.hpp"
#include "support/postgres_fixture.hpp"

namespace fallow::testing {

class PostgresEngine : public EngineUnderTest {
  public:
    explicit PostgresEngine(const std::string& url) : PostgresEngine(url, url) {}
    /// Commits go to `url`, beats to `beat_url`.
    PostgresEngine(const std::string& url, const std::string& beat_url)
        : store_(store::make_market_store({.url = url})),
          beat_store_(store::make_market_store({.url = beat_url})) {
        config.beat = Millis(20);
        config.stale_after = seconds(1);
    }
    ~PostgresEngine() { stop(); }

    void start() { EngineUnderTest::start(*store_, *beat_store_); }
    [[nodiscard]] engine::MarketStore& store() { return *store_; }

  private:
    std::unique_ptr<engine::MarketStore> store_;
    std::unique_ptr<engine::MarketStore> beat_store_;
};

/// A session that passes by privileges and policies, to look and to plant faults.
class Superuser {
  public:
    explicit Superuser(const std::string& url) : connection_(settings(url)), holder_(settings(url)) {}
    pqxx::result exec(const std::string& sql) { return connection_.exec(sql); }
    [[nodiscard]] std::int64_t number(const std::string& sql) { return exec(sql)[0][0].as<std::int64_t>(); }
    [[nodiscard]] std::string text(const std::string& sql) { return exec(sql)[0][0].as<std::string>(); }

    /// Keeps the leader row locked, so that every commit waits, until let_go().
    void hold_commits() {
        holder_.exec("BEGIN; SELECT FROM market_leader WHERE market = 'main' FOR UPDATE");
    }
    void let_go() { holder_.exec("COMMIT"); }
    /// Waits until a session of an engine is seen waiting to begin its batch.
    void wait_until_blocked() {
        const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (blocked().empty())
            REQUIRE(std::chrono::steady_clock::now() < give_up_at);
    }
    void terminate_blocked() {
        for (const auto& row : blocked())
            exec("SELECT pg_terminate_backend(" + row[0].as<std::string>() + ")");
    }

  private:
    pqxx::result blocked() {
        return exec(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
            "current_database() "
            "AND query LIKE '%market_claim%'");
    }
    static store::ConnectionSettings settings(const std::string& url) {
        return {.url = test::PostgresFixture::as_superuser(url), .application_name = "superuser"};
    }
    store::Connection connection_;
    store::Connection holder_;  ///< its own session: within one transaction pg_stat_activity stands still
};

}  // namespace fallow::testing
