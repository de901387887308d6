#include "store/market_store.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "store/maintenance.hpp"
#include "store/pipeline.hpp"
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

/// What market_claim() raises.
constexpr std::string_view stale_claim = "FL001";

constexpr std::int64_t recent_keys_ms = 10 * 60 * 1000;
constexpr std::int64_t recent_keys_max = 20'000;

/// How long resolve() waits for the transaction it asks about to end.
constexpr std::string_view resolve_lock_timeout =
    "SET LOCAL lock_timeout = '30s'; SET LOCAL statement_timeout = '60s';";

/// A batch on its way: the statements that write its rows, and how many rows each must reach.
class BatchWriter {
  public:
    explicit BatchWriter(PipelinedTransaction& tx) : tx_(tx) {}

    void claim_sequence(const JournalRecord& journal) {
        queue("market_claim", "SELECT market_claim($1, $2, $3, $4)",
              {{binary_of(journal.market), binary_of(journal.epoch), binary_of(journal.sequence),
                binary_of(journal.chain_hex)}},
              "market_leader", 1);
    }

    /// Removes, then updates, then inserts: what a row gives up (a card's share, a name) another row of the
    /// same batch may take.
    template <class Row>
    void write(const market::RowWrites<Row>& writes) {
        const RowStatements& statements = statements_of<Row>();
        if (!writes.removes.empty())
            queue(statements.remove_name, statements.remove_sql, column_arrays(writes.removes, true),
                  Row::table, writes.removes.size());
        if (!writes.updates.empty())
            queue(statements.update_name, statements.update_sql, column_arrays(writes.updates), Row::table,
                  writes.updates.size());
        insert(writes.inserts);
    }

    template <class Row>
    void insert(const std::vector<Row>& rows) {
        const RowStatements& statements = statements_of<Row>();
        if (!rows.empty())
            queue(statements.insert_name, statements.insert_sql, column_arrays(rows), Row::table,
                  rows.size());
    }

    void append(const JournalRecord& journal) {
        queue("append_journal",
              "INSERT INTO journal (stream, seq, epoch, at, record, chain) VALUES ($1, $2, $3, $4, $5, $6)",
              {{binary_of(journal.market), binary_of(journal.sequence), binary_of(journal.epoch),
                binary_of(journal.at), binary_of(journal.record), binary_of(journal.chain_hex)}},
              "journal", 1);
    }

    /// Runs what was queued, in one round trip.
    void run() {
        const std::vector<std::size_t> affected = tx_.run();
        for (std::size_t i = 0; i < affected.size(); ++i) {
            if (affected[i] == expected_[i].rows) continue;
            throw DatabaseError(Fault::constraint, {}, {},
                                "a write of " + std::to_string(expected_[i].rows) + " rows of " +
                                    std::string(expected_[i].table) + " reached " +
                                    std::to_string(affected[i]));
        }
    }

  private:
    struct Expected {
        std::string_view table;
        std::size_t rows;
    };

    void queue(const std::string& name, const std::string& sql, const BinaryParameters& parameters,
               std::string_view table, std::size_t rows) {
        tx_.queue(name, sql, parameters);
        expected_.push_back({table, rows});
    }

    PipelinedTransaction& tx_;
    std::vector<Expected> expected_;
};

CommitOutcome outcome_of(const DatabaseError& error) {
    if (error.sqlstate() == stale_claim) return CommitOutcome::stale;
    switch (error.fault()) {
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

class PostgresMarketStore final : public engine::MarketStore {
  public:
    explicit PostgresMarketStore(ConnectionSettings settings)
        : settings_(std::move(settings)), connection_(settings_) {}

    std::optional<Leadership> take_leadership(const std::string& market, const engine::Candidate& candidate,
                                              Millis stale_after) override;
    bool beat(const std::string& market, std::int64_t epoch) override;
    void release_leadership(const std::string& market, std::int64_t epoch) override;
    LoadedMarket load(const std::string& market) override;
    CommitResult commit(const Batch& batch) override;
    CommitOutcome resolve(const JournalRecord& journal) override;
    void reconnect() override;

  private:
    ConnectionSettings settings_;
    Connection connection_;
    std::optional<Pipeline> pipeline_;  ///< made at the first commit: not every store writes
};

std::optional<Leadership> PostgresMarketStore::take_leadership(const std::string& market,
                                                               const engine::Candidate& candidate,
                                                               Millis stale_after) {
    const auto leadership = [&]() -> std::optional<Leadership> {
        Transaction tx(connection_, "BEGIN");
        tx.query("INSERT INTO market_leader (market) VALUES ($1) ON CONFLICT DO NOTHING", market);
        tx.query(
            "INSERT INTO market_settings (market, fee_ppm, version) VALUES ($1, 0, 1) ON CONFLICT DO "
            "NOTHING",
            market);
        const pqxx::result taken = tx.query(
            "UPDATE market_leader SET holder = $2, address = $4, epoch = epoch + 1, beat = "
            "clock_timestamp() "
            "WHERE market = $1 "
            "AND (holder IS NULL OR beat < clock_timestamp() - $3::bigint * interval '1 millisecond' "
            "OR ($5::boolean AND $4::text <> '' AND address = $4::text)) "
            "RETURNING epoch, seq, chain, "
            "coalesce((SELECT at FROM journal WHERE stream = market AND journal.seq = market_leader.seq), "
            "0)",
            market, candidate.name, stale_after, candidate.address, candidate.is_new_there);
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

void PostgresMarketStore::reconnect() {
    connection_.reconnect();
    if (pipeline_) pipeline_->reconnect();
}

CommitResult PostgresMarketStore::commit(const Batch& batch) {
    try {
        if (!pipeline_) pipeline_.emplace(settings_);
        if (pipeline_->is_broken()) return {CommitOutcome::failed, "the database session is broken"};
        PipelinedTransaction tx(*pipeline_);
        BatchWriter writer(tx);
        writer.claim_sequence(batch.journal);
        market::Changes::each(batch.changes, [&](const auto& writes) { writer.write(writes); });
        writer.insert(batch.receipts);
        writer.insert(batch.idempotency);
        writer.append(batch.journal);
        writer.run();
        tx.commit();
        return {CommitOutcome::committed, {}};
    } catch (const DatabaseError& error) {
        return {outcome_of(error), describe_error(error)};
    }
}

CommitOutcome PostgresMarketStore::resolve(const JournalRecord& journal) {
    Transaction tx(connection_, "BEGIN; " + std::string(resolve_lock_timeout));
    const pqxx::result leader =
        tx.query("SELECT epoch FROM market_leader WHERE market = $1 FOR UPDATE", journal.market);
    const pqxx::result found = tx.query("SELECT epoch, chain FROM journal WHERE stream = $1 AND seq = $2",
                                        journal.market, journal.sequence);
    tx.commit();
    // The chain alone would not do: two leaders' batches of nothing but refusals have the same record.
    if (!found.empty())
        return read_cell<std::int64_t>(found[0][0]) == journal.epoch &&
                       read_cell<std::string>(found[0][1]) == journal.chain_hex
                   ? CommitOutcome::committed
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
    // The leader row and the rows that it stands for change in one transaction, and this is one snapshot.
    const auto position = tx.query(
        "SELECT seq, chain, coalesce((SELECT at FROM journal WHERE stream = market AND journal.seq = "
        "market_leader.seq), 0) FROM market_leader WHERE market = $1",
        market);
    if (!position.empty())
        loaded.position = {read_cell<std::int64_t>(position[0][0]), read_cell<std::string>(position[0][1]),
                           read_cell<Time>(position[0][2])};
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
    loaded.spot_pools = select_rows<market::SpotPool>(tx, "ORDER BY name");
    loaded.lease_segments = select_rows<market::LeaseSegment>(
        tx, "WHERE lease_id IN (SELECT id FROM leases WHERE NOT released) ORDER BY lease_id, sequence");
    loaded.reservations =
        select_rows<market::Reservation>(tx, "WHERE state IN ('booked', 'started') ORDER BY booked_at, id");
    loaded.bookings = select_rows<market::Booking>(tx, "ORDER BY starts_at, id");
    loaded.freezes = select_rows<market::Freeze>(tx, "ORDER BY created_at, id");
    loaded.policies = select_rows<market::Policy>(tx, "ORDER BY version");
    loaded.policy_approvals = select_rows<market::PolicyApproval>(tx, "ORDER BY created_at, id");
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
