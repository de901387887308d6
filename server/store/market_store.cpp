#include "store/market_store.hpp"

#include <algorithm>
#include <string_view>

#include "store/maintenance.hpp"
#include "store/row_reader.hpp"
#include "store/transaction.hpp"

namespace fallow::store {
namespace {

using engine::Batch;
using engine::CommitOutcome;
using engine::CommitResult;
using engine::JournalRecord;
using engine::Leadership;
using engine::LoadedMarket;

constexpr std::int64_t recent_keys_ms = 10 * 60 * 1000;
constexpr std::int64_t recent_keys_max = 20'000;

/// How long resolve() waits for the transaction it asks about to end.
constexpr std::string_view resolve_lock_timeout =
    "SET LOCAL lock_timeout = '30s'; SET LOCAL statement_timeout = '60s';";

void expect_rows(const pqxx::result& result, std::size_t expected, std::string_view table) {
    if (result.affected_rows() == expected) return;
    throw DatabaseError(Fault::constraint, {}, {},
                        "a write of " + std::to_string(expected) + " rows of " + std::string(table) +
                            " reached " + std::to_string(result.affected_rows()));
}

/// Removes, then updates, then inserts: what a row gives up (a card's share, a name) another row of the
/// same batch may take.
template <class Row>
void write_rows(Transaction& tx, const market::RowWrites<Row>& writes) {
    const RowStatements& statements = statements_of<Row>();
    if (!writes.removes.empty()) {
        const auto result =
            tx.prepared(statements.remove_name, statements.remove_sql, column_arrays(writes.removes, true));
        expect_rows(result, writes.removes.size(), Row::table);
    }
    if (!writes.updates.empty()) {
        const auto result =
            tx.prepared(statements.update_name, statements.update_sql, column_arrays(writes.updates));
        expect_rows(result, writes.updates.size(), Row::table);
    }
    if (!writes.inserts.empty())
        tx.prepared(statements.insert_name, statements.insert_sql, column_arrays(writes.inserts));
}

template <class Row>
void insert_rows(Transaction& tx, const std::vector<Row>& rows) {
    const RowStatements& statements = statements_of<Row>();
    if (!rows.empty()) tx.prepared(statements.insert_name, statements.insert_sql, column_arrays(rows));
}

void write_journal(Transaction& tx, const JournalRecord& journal) {
    tx.prepared(
        "append_journal",
        "INSERT INTO journal (stream, seq, epoch, at, record, chain) VALUES ($1, $2, $3, $4, $5, $6)",
        {parameter_of(journal.market), parameter_of(journal.sequence), parameter_of(journal.epoch),
         parameter_of(journal.at), parameter_of(journal.record), parameter_of(journal.chain_hex)});
}

CommitOutcome outcome_of(Fault fault) {
    switch (fault) {
        case Fault::constraint:
            return CommitOutcome::refused;
        case Fault::in_doubt:
            return CommitOutcome::unknown;
        default:
            return CommitOutcome::failed;
    }
}

std::string describe_error(const DatabaseError& error) {
    std::string text = error.constraint().empty() ? "" : error.constraint() + ": ";
    return text + error.what();
}

/// BEGIN and the compare-and-set of the leader row in one round trip; the row stays locked to the commit.
std::string claim_sequence_sql(const JournalRecord& journal) {
    return "BEGIN; UPDATE market_leader SET seq = seq + 1, beat = clock_timestamp(), chain = " +
           Connection::quote(journal.chain_hex) + " WHERE market = " + Connection::quote(journal.market) +
           " AND epoch = " + std::to_string(journal.epoch) +
           " AND seq = " + std::to_string(journal.sequence - 1);
}

class PostgresMarketStore final : public engine::MarketStore {
  public:
    explicit PostgresMarketStore(ConnectionSettings settings) : connection_(std::move(settings)) {}

    std::optional<Leadership> take_leadership(const std::string& market, const std::string& holder,
                                              Millis stale_after) override;
    bool beat(const std::string& market, std::int64_t epoch) override;
    void release_leadership(const std::string& market, std::int64_t epoch) override;
    LoadedMarket load(const std::string& market) override;
    CommitResult commit(const Batch& batch) override;
    CommitOutcome resolve(const JournalRecord& journal) override;
    void reconnect() override { connection_.reconnect(); }

  private:
    Connection connection_;
};

std::optional<Leadership> PostgresMarketStore::take_leadership(const std::string& market,
                                                               const std::string& holder,
                                                               Millis stale_after) {
    const auto leadership = [&]() -> std::optional<Leadership> {
        Transaction tx(connection_, "BEGIN");
        tx.query("INSERT INTO market_leader (market) VALUES ($1) ON CONFLICT DO NOTHING", market);
        tx.query(
            "INSERT INTO market_settings (market, fee_ppm, version) VALUES ($1, 0, 1) ON CONFLICT DO "
            "NOTHING",
            market);
        const pqxx::result taken = tx.query(
            "UPDATE market_leader SET holder = $2, epoch = epoch + 1, beat = clock_timestamp() WHERE "
            "market = $1 "
            "AND (holder IS NULL OR beat < clock_timestamp() - $3::bigint * interval '1 millisecond') "
            "RETURNING epoch, seq, chain, "
            "coalesce((SELECT at FROM journal WHERE stream = market AND journal.seq = market_leader.seq), "
            "0)",
            market, holder, stale_after);
        tx.commit();
        if (taken.empty()) return std::nullopt;
        return Leadership{read_cell<std::int64_t>(taken[0][0]), read_cell<std::int64_t>(taken[0][1]),
                          read_cell<std::string>(taken[0][2]), read_cell<Time>(taken[0][3])};
    }();
    try {
        if (leadership) maintain(connection_);
    } catch (const DatabaseError&) {
        // The row is taken; a day without its partition uses the default one, and the hourly turn tries
        // again.
    }
    return leadership;
}

bool PostgresMarketStore::beat(const std::string& market, std::int64_t epoch) {
    const auto result = connection_.prepared(
        "beat", "UPDATE market_leader SET beat = clock_timestamp() WHERE market = $1 AND epoch = $2",
        {parameter_of(market), parameter_of(epoch)});
    return result.affected_rows() == 1;
}

void PostgresMarketStore::release_leadership(const std::string& market, std::int64_t epoch) {
    connection_.query("UPDATE market_leader SET holder = NULL WHERE market = $1 AND epoch = $2", market,
                      epoch);
}

CommitResult PostgresMarketStore::commit(const Batch& batch) {
    try {
        if (connection_.is_broken()) return {CommitOutcome::failed, "the database session is broken"};
        Transaction tx(connection_, claim_sequence_sql(batch.journal));
        if (tx.begun().affected_rows() != 1)
            return {CommitOutcome::stale, "the leader row has another epoch or sequence"};
        market::Changes::each(batch.changes, [&](const auto& writes) { write_rows(tx, writes); });
        insert_rows(tx, batch.receipts);
        insert_rows(tx, batch.idempotency);
        write_journal(tx, batch.journal);
        tx.commit();
        return {CommitOutcome::committed, {}};
    } catch (const DatabaseError& error) {
        return {outcome_of(error.fault()), describe_error(error)};
    }
}

CommitOutcome PostgresMarketStore::resolve(const JournalRecord& journal) {
    Transaction tx(connection_, "BEGIN; " + std::string(resolve_lock_timeout));
    const pqxx::result leader =
        tx.query("SELECT epoch FROM market_leader WHERE market = $1 FOR UPDATE", journal.market);
    const pqxx::result found = tx.query("SELECT chain FROM journal WHERE stream = $1 AND seq = $2",
                                        journal.market, journal.sequence);
    tx.commit();
    if (!found.empty())
        return read_cell<std::string>(found[0][0]) == journal.chain_hex ? CommitOutcome::committed
                                                                        : CommitOutcome::stale;
    const bool still_ours = !leader.empty() && read_cell<std::int64_t>(leader[0][0]) == journal.epoch;
    return still_ours ? CommitOutcome::failed : CommitOutcome::stale;
}

template <class Row>
std::vector<Row> select_rows(Transaction& tx, const std::string& condition) {
    return read_all<Row>(
        tx.exec("SELECT " + select_list<Row>() + " FROM " + std::string(Row::table) + " " + condition));
}

LoadedMarket PostgresMarketStore::load(const std::string& market) {
    Transaction tx(connection_,
                   "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s'");
    const std::string live_orders = "SELECT order_id FROM leases WHERE NOT released";
    const std::string live_jobs = "SELECT job_id FROM leases WHERE NOT released AND job_id IS NOT NULL";
    LoadedMarket loaded;
    const auto settings = select_rows<market::Settings>(tx, "WHERE market = " + Connection::quote(market));
    if (!settings.empty()) loaded.settings = settings.front();
    loaded.settings.market = market;
    loaded.organizations = select_rows<market::Organization>(tx, "ORDER BY created_at, id");
    loaded.accounts = select_rows<ledger::Account>(tx, "ORDER BY id");
    loaded.hosts = select_rows<market::Host>(tx, "ORDER BY enrolled_at, id");
    loaded.cards = select_rows<market::Card>(tx, "ORDER BY host_id, index, id");
    loaded.listings =
        select_rows<market::Listing>(tx, "WHERE state <> 'withdrawn' ORDER BY created_at, id");
    loaded.orders = select_rows<market::Order>(
        tx, "WHERE state = 'standing' UNION SELECT " + select_list<market::Order>() +
                " FROM orders WHERE id IN (" + live_orders + ") ORDER BY placed_at, id");
    loaded.leases = select_rows<market::Lease>(tx, "WHERE NOT released ORDER BY allocated_at, id");
    loaded.jobs = select_rows<market::Job>(
        tx, "WHERE state IN ('queued', 'assigned', 'running') UNION SELECT " + select_list<market::Job>() +
                " FROM jobs WHERE id IN (" + live_jobs + ") ORDER BY queued_at, id");
    loaded.freezes = select_rows<market::Freeze>(tx, "ORDER BY created_at, id");
    loaded.recent_keys = select_rows<engine::IdempotencyRecord>(
        tx, "WHERE created_at >= (SELECT max(at) FROM journal WHERE stream = " + Connection::quote(market) +
                ") - " + std::to_string(recent_keys_ms) + " ORDER BY created_at DESC LIMIT " +
                std::to_string(recent_keys_max));
    tx.commit();
    std::reverse(loaded.recent_keys.begin(), loaded.recent_keys.end());
    return loaded;
}

}  // namespace

std::unique_ptr<engine::MarketStore> make_market_store(ConnectionSettings settings) {
    settings.role = "fallow_engine";
    return std::make_unique<PostgresMarketStore>(std::move(settings));
}

}  // namespace fallow::store
