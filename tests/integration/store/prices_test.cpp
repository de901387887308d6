// Candles made from the rows of a market, in PostgreSQL.
#include "store/prices.hpp"

#include <catch2/catch.hpp>

#include "store/connection.hpp"
#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using market::CandleSpan;
using store::Connection;
using store::Transaction;

constexpr Time now(world_now);

/// The world's cards as a known model, and its leases with ids of their time, so that they are trades.
void make_trades(const std::string& url, const World& world) {
    Connection superuser({.url = PostgresFixture::as_superuser(url)});
    superuser.exec(
        "UPDATE cards SET product = 'NVIDIA A30', vram_bytes = 25769803776, "
        "memory_bandwidth_bytes_per_s = 933000000000, fp32_flops = 10300000000000, measured_at = " +
        std::to_string(world_now - days(1).count));
    superuser.exec("UPDATE hosts SET state = 'online', unreachable_since = NULL");
    superuser.exec("SET session_replication_role = replica");
    const auto insert = [&](std::int64_t at, std::int64_t price, int number) {
        const LeaseId id(RawId{static_cast<std::uint64_t>(at) << 16, static_cast<std::uint64_t>(number)});
        superuser.exec(
            "INSERT INTO leases SELECT (jsonb_populate_record(leases, jsonb_build_object('id', " + sql(id) +
            "::uuid, 'job_id', NULL, 'spot_floor_micros_per_hour', 0, 'allocated_at', " +
            std::to_string(at) + ", 'price_micros_per_hour', " + std::to_string(price) +
            "))).* FROM leases WHERE id = " + sql(world.ended_lease));
    };
    insert(world_now - 7'200'000, 400, 1);
    insert(world_now - 7'199'000, 200, 2);
    insert(world_now - 180'000, 900, 3);
    insert(world_now - 1000, 5000, 4);  // in a minute that is not over
}

store::CandleQuery query(CandleSpan span) {
    return {"main", "a30", 24, span, now - days(2), now + days(1)};
}

TEST_CASE("trades and samples become candles, once, whoever rolls them up", "[prices]") {
    SeededDatabase database;
    make_trades(database.url, database.world);
    Connection connection({.url = database.url});
    int steps = 0;
    while (store::roll_up_prices(connection, "main", now))
        ++steps;
    CHECK(steps == 31);  // a day at a time, from 30 days ago
    Transaction tx(connection, store::Actor::admin());
    const auto minutes_found = store::read_candles(tx, query(CandleSpan::minute));
    REQUIRE(minutes_found.size() == 3);  // two with trades, and the last one with a sample
    CHECK(minutes_found[0].open == ledger::Price(400));
    CHECK(minutes_found[0].close == ledger::Price(200));
    CHECK(minutes_found[0].trades == 2);
    CHECK(minutes_found[2].samples == 1);
    CHECK(minutes_found[2].listed_thousandths >= minutes_found[2].used_thousandths);
    CHECK(store::read_candles(tx, query(CandleSpan::hour)).size() >= 2);
    const auto by_day = store::read_candles(tx, query(CandleSpan::day));
    std::int64_t trades = 0;
    for (const auto& candle : by_day)
        trades += candle.trades;
    CHECK(trades == 3);
    const auto until = store::prices_rolled_until(tx, "main");
    REQUIRE(until);
    CHECK(*until <= now);
    // What is not rolled up is read from the leases.
    const auto live = store::trades_between(tx, "main", *until, now + Millis(1));
    REQUIRE(live.size() == 1);
    CHECK(live[0].close == ledger::Price(5000));
}

TEST_CASE("an hour goes on where a later roll-up finds it", "[prices]") {
    SeededDatabase database;
    make_trades(database.url, database.world);
    Connection connection({.url = database.url});
    for (const Time at : {now - minutes(60), now - minutes(2), now, now + minutes(5), now + minutes(5)})
        while (store::roll_up_prices(connection, "main", at)) {
        }
    Transaction tx(connection, store::Actor::admin());
    std::int64_t trades = 0;
    for (const auto& candle : store::read_candles(tx, query(CandleSpan::hour)))
        trades += candle.trades;
    CHECK(trades == 4);
    CHECK(
        store::trades_between(tx, "main", *store::prices_rolled_until(tx, "main"), now + days(1)).empty());
}

TEST_CASE("old minutes and hours are forgotten, days are not", "[prices]") {
    SeededDatabase database;
    make_trades(database.url, database.world);
    Connection connection({.url = database.url});
    for (const Time at : {now, now + days(15), now + days(402)})
        while (store::roll_up_prices(connection, "main", at)) {
        }
    Transaction tx(connection, store::Actor::admin());
    CHECK(store::read_candles(tx, query(CandleSpan::minute)).empty());
    CHECK(store::read_candles(tx, query(CandleSpan::hour)).empty());
    CHECK_FALSE(store::read_candles(tx, query(CandleSpan::day)).empty());
}

TEST_CASE("two servers do not roll up at once", "[prices]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    CHECK(store::roll_up_prices(connection, "main", now - days(1)));
    Connection other({.url = database.url});
    Transaction held(other, store::Actor::engine());
    held.query("SELECT FROM price_progress WHERE market = $1 FOR UPDATE", "main");
    CHECK_FALSE(store::roll_up_prices(connection, "main", now));
}

TEST_CASE("depth and trades are those of one model and memory size", "[prices]") {
    SeededDatabase database;
    make_trades(database.url, database.world);
    Connection connection({.url = database.url});
    Transaction tx(connection, store::Actor::admin());
    const market::CardModel& a30 = *market::find_model("a30");
    CHECK(store::read_depth(tx, a30, 48, 50).empty());
    CHECK(store::read_depth(tx, *market::find_model("a40"), 48, 50).empty());
    const auto depth = store::read_depth(tx, a30, 24, 50);
    REQUIRE(depth.size() == 1);
    CHECK(depth[0].thousandths == 1000);
    // The world's own leases have ids of no time, greater than these.
    const LeaseId after_all(RawId{static_cast<std::uint64_t>(world_now + 1) << 16, 0});
    const auto newest = store::read_trades(tx, {&a30, 24, now - days(1), after_all, 3});
    REQUIRE(newest.size() == 3);
    CHECK(newest[0].price == ledger::Price(5000));
    const auto older = store::read_trades(tx, {&a30, 24, now - days(1), newest[2].lease, 3});
    REQUIRE(older.size() == 1);
    CHECK(older[0].price == ledger::Price(400));
    CHECK(store::read_trades(tx, {&a30, 48, now - days(1), std::nullopt, 3}).empty());
}

}  // namespace
}  // namespace fallow::test
