#include "store/journal_source.hpp"

#include "store/market_store.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {
namespace {

using engine::JournalRecord;
using engine::LeaderRow;

class PostgresJournalSource final : public engine::JournalSource {
  public:
    explicit PostgresJournalSource(const ConnectionSettings& settings)
        : settings_(settings), connection_(settings) {}

    LeaderRow leader(const std::string& market) override;
    std::vector<JournalRecord> read(const std::string& market, std::int64_t sequence,
                                    std::int64_t count) override;
    /// On a session of its own: it is done once, and takes longer than a look at the leader row may.
    engine::LoadedMarket load(const std::string& market) override {
        return make_market_store(settings_)->load(market);
    }
    void reconnect() override { connection_.reconnect(); }

  private:
    ConnectionSettings settings_;
    Connection connection_;
};

LeaderRow PostgresJournalSource::leader(const std::string& market) {
    const auto rows = connection_.prepared(
        "leader_row",
        "SELECT coalesce(holder, ''), coalesce(address, ''), epoch, market_leader.seq, "
        "CASE WHEN isfinite(beat) THEN extract(epoch FROM clock_timestamp() - beat) * 1000 ELSE 1e12 "
        "END::bigint, "
        "coalesce((SELECT seq FROM journal_streams WHERE stream = 'accounts'), 0) "
        "FROM market_leader WHERE market = $1",
        {parameter_of(market)});
    if (rows.empty()) return {};
    return {read_cell<std::string>(rows[0][0]),  read_cell<std::string>(rows[0][1]),
            read_cell<std::int64_t>(rows[0][2]), read_cell<std::int64_t>(rows[0][3]),
            read_cell<Millis>(rows[0][4]),       read_cell<std::int64_t>(rows[0][5])};
}

std::vector<JournalRecord> PostgresJournalSource::read(const std::string& market, std::int64_t sequence,
                                                       std::int64_t count) {
    const auto rows = connection_.prepared(
        "journal_after",
        "SELECT seq, epoch, at, record, chain FROM journal WHERE stream = $1 AND seq > $2 ORDER BY seq "
        "LIMIT $3",
        {parameter_of(market), parameter_of(sequence), parameter_of(count)});
    std::vector<JournalRecord> records;
    records.reserve(rows.size());
    for (const auto& row : rows)
        records.push_back({market, read_cell<std::int64_t>(row[0]), read_cell<std::int64_t>(row[1]),
                           read_cell<Time>(row[2]), read_cell<std::string>(row[3]),
                           read_cell<std::string>(row[4])});
    return records;
}

}  // namespace

std::unique_ptr<engine::JournalSource> make_journal_source(ConnectionSettings settings) {
    settings.role = "fallow_engine";
    return std::make_unique<PostgresJournalSource>(settings);
}

}  // namespace fallow::store
