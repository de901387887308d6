// What the store writes it reads back, for every row type and in every column.
#include <catch2/catch.hpp>

#include "store/connection.hpp"
#include "store/pages.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using store::Connection;
using store::Transaction;

/// Rows of one type are equal when all their columns have the same text.
template <class Row>
void check_stored(Transaction& tx, const std::vector<Row>& written) {
    INFO(Row::table);
    REQUIRE_FALSE(written.empty());
    for (const Row& row : written) {
        const auto keys = store::column_arrays(std::vector<Row>{row}, true);
        std::string match;
        int number = 0;
        for (const store::Column& column : store::columns_of<Row>()) {
            if (!column.is_key) continue;
            match += (match.empty() ? "WHERE " : " AND ") + column.name + " = ($" +
                     std::to_string(++number) + "::" + std::string(column.type.element) + "[])[1]";
        }
        const std::vector<Row> found = store::read_all<Row>(tx.query_with(
            "SELECT " + store::select_list<Row>() + " FROM " + std::string(Row::table) + " " + match,
            keys));
        REQUIRE(found.size() == 1);
        CHECK(store::column_arrays(found) == store::column_arrays(std::vector<Row>{row}));
    }
}

TEST_CASE("every row type survives the database unchanged", "[rows]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    Transaction tx(connection, store::Actor::engine());
    market::Changes::each(database.world.batch.changes, [&](const auto& writes) {
        if (!writes.inserts.empty()) check_stored(tx, writes.inserts);
        if (!writes.updates.empty()) check_stored(tx, writes.updates);
    });
    check_stored(tx, database.world.batch.receipts);
    check_stored(tx, database.world.batch.idempotency);
}

TEST_CASE("updates change every column and removes take the row away", "[rows]") {
    SeededDatabase database;
    market::Changes changes;
    market::Lease lease = database.world.running();
    lease.phase_deadline = Time(1);
    lease.reclaim_deadline = Time(2);
    lease.paid_until = Time(3);
    lease.stop_reason = market::EndReason::outbid;
    lease.nonce = "{\"}";
    lease.cards.push_back(database.world.free_card);
    lease.exit_code = -1;
    lease.version = 2;
    market::Order order = database.world.batch.changes.orders.inserts[0];
    order.requirements.products.clear();
    order.requirements.countries_excluded = {"US", "CN"};
    order.reason = market::OrderReason::job_finished;
    order.job.reset();
    changes.leases.updates = {lease};
    changes.orders.updates = {order};
    changes.freezes.removes = database.world.batch.changes.freezes.inserts;
    changes.policy_approvals.removes = database.world.batch.changes.policy_approvals.inserts;
    const auto result = database.commit(changes);
    INFO(result.detail);
    REQUIRE(result.outcome == engine::CommitOutcome::committed);
    Connection connection({.url = database.url});
    Transaction tx(connection, store::Actor::engine());
    check_stored(tx, changes.leases.updates);
    check_stored(tx, changes.orders.updates);
    CHECK(tx.exec("SELECT FROM freezes").empty());
    CHECK(tx.exec("SELECT FROM policy_approvals").empty());
}

TEST_CASE("an update of a row that is not there refuses the batch", "[rows]") {
    SeededDatabase database;
    market::Changes changes;
    market::Order ghost = database.world.batch.changes.orders.inserts[0];
    ghost.id = OrderId(RawId{1, 1});
    changes.orders.updates = {ghost};
    const auto result = database.commit(changes);
    CHECK(result.outcome == engine::CommitOutcome::refused);
    CHECK_THAT(result.detail, Catch::Contains("orders"));
}

TEST_CASE("derived columns are what the triggers made of the rows", "[rows]") {
    SeededDatabase database;
    const engine::LoadedMarket loaded = database.store->load("main");
    const ledger::Micros deposit = database.world.batch.changes.reservations.inserts[0].deposit;
    std::int64_t sum = 0;
    for (const ledger::Account& account : loaded.accounts) {
        sum += account.balance.count;
        if (account.id == database.world.held)
            CHECK(account.balance == database.world.running().held + deposit);
        if (account.id == external) CHECK(account.balance.count == -10'000'000);
    }
    CHECK(sum == 0);
    for (const market::Card& card : loaded.cards)
        CHECK(card.used == (card.id == database.world.card ? 1000 : 0));
}

TEST_CASE("a new leader loads what is live and leaves out what is over", "[rows]") {
    SeededDatabase database;
    const engine::LoadedMarket loaded = database.store->load("main");
    CHECK(loaded.settings.fee_ppm == 50'000);
    REQUIRE(loaded.leases.size() == 1);
    CHECK(loaded.leases[0].id == database.world.lease);
    REQUIRE(loaded.orders.size() == 1);
    CHECK(loaded.orders[0].id == database.world.order);
    CHECK(loaded.jobs.size() == 1);
    CHECK(loaded.listings.size() == 1);
    CHECK(loaded.freezes.size() == 1);
    CHECK(loaded.policies.size() == 1);
    CHECK(loaded.policy_approvals.size() == 1);
    CHECK(loaded.spot_pools.size() == 1);
    CHECK(loaded.lease_segments.empty());
    CHECK(loaded.reservations.size() == 1);
    CHECK(loaded.bookings.size() == 1);
    CHECK(loaded.organizations.size() == 4);
    REQUIRE(loaded.recent_keys.size() == 1);
    CHECK(loaded.recent_keys[0].key == "k, \"1\"");
}

}  // namespace
}  // namespace fallow::test
