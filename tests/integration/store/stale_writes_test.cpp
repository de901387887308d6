// A leader whose epoch has passed writes nothing: ten thousand batches, of every kind of row that the
// engine writes, are refused by PostgreSQL itself.
#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "engine/journal.hpp"
#include "store/connection.hpp"
#include "store/market_store.hpp"
#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using engine::CommitOutcome;

constexpr int stale_writes = 10'000;

/// One batch for each kind of row, as the former leader would write it: the world's own rows again,
/// inserted, updated or removed; and what goes with a batch.
std::vector<engine::Batch> every_kind(const engine::Batch& world) {
    std::vector<engine::Batch> kinds(1);  // the first: nothing but the journal's record
    market::Changes::each(world.changes, [&]<class Row>(const market::RowWrites<Row>& writes) {
        using Writes = market::RowWrites<Row>;
        for (const auto way : {&Writes::inserts, &Writes::updates, &Writes::removes})
            market::Changes::each(kinds.emplace_back().changes,
                                  [&]<class Other>(market::RowWrites<Other>& target) {
                                      if constexpr (std::is_same_v<Row, Other>)
                                          target.*way = writes.inserts;
                                  });
    });
    kinds.emplace_back().idempotency = {
        {OrganizationId(RawId{1, 1}), "POST /v1/orders", "key", "hash", 200, "{}", Time(world_now)}};
    kinds.emplace_back().receipts = {{LeaseId(RawId{1, 2}), {}, {}, "statement", "signature", Time(1)}};
    kinds.push_back(world);
    return kinds;
}

/// Every table's rows in one number, so that nothing can change unseen.
std::string fingerprint(store::Connection& superuser) {
    std::string all;
    for (const char* table :
         {"organizations", "accounts", "transfers", "hosts", "cards", "listings", "orders", "leases",
          "lease_cards", "jobs", "job_specs", "usage_statements", "receipts", "freezes", "market_settings",
          "policies", "policy_approvals", "idempotency_keys", "journal"})
        all += std::string(table) + ' ' +
               superuser
                   .exec(
                       "SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, ',' ORDER BY r::text)), "
                       "'') FROM " +
                       std::string(table) + " r")[0][0]
                   .c_str() +
               '\n';
    return all;
}

}  // namespace

TEST_CASE("ten thousand of ten thousand writes of a former leader are refused", "[leader]") {
    SeededDatabase database;
    store::Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    const auto successor = store::make_market_store({.url = database.url});
    const auto taken = successor->take_leadership("main", {"successor", ""}, Millis(-1000));
    REQUIRE(taken);
    const auto kinds = every_kind(database.world.batch);
    REQUIRE(kinds.size() > 40);
    const std::string before = fingerprint(superuser);
    std::map<CommitOutcome, int> outcomes;
    engine::Leadership passed = database.leadership;
    for (int number = 0; number < stale_writes; ++number) {
        engine::Batch batch = kinds[static_cast<std::size_t>(number) % kinds.size()];
        // Where the former leader believes to stand: its own last sequence, earlier ones, the successor's.
        batch.journal = {"main", passed.sequence + 1 - number % 3, passed.epoch, Time(world_now), "{}", {}};
        batch.journal.chain_hex = engine::next_chain(passed.chain_hex, batch.journal.record);
        ++outcomes[database.store->commit(batch).outcome];
    }
    CHECK(outcomes[CommitOutcome::stale] == stale_writes);
    CHECK(outcomes.size() == 1);
    CHECK(fingerprint(superuser) == before);

    // The successor is not disturbed, and its own batch of the same rows would have been another matter.
    engine::Batch own;
    own.changes.settings.updates = {{"main", 7, 9}};
    own.journal = {"main", taken->sequence + 1, taken->epoch, Time(world_now), "{}", {}};
    own.journal.chain_hex = engine::next_chain(taken->chain_hex, own.journal.record);
    CHECK(successor->commit(own).outcome == CommitOutcome::committed);
    CHECK(fingerprint(superuser) != before);
}

}  // namespace fallow::test
