#include "store/telemetry.hpp"

#include <array>
#include <string>

#include "store/row_reader.hpp"

namespace fallow::store {
namespace {

using accounts::CardSummary;
using accounts::CardTelemetry;
using accounts::MeasuredCard;
using accounts::MeasuredMinute;
using accounts::Summary;

constexpr std::array<const char*, 4> levels = {"utilization_thousandths", "memory_used_bytes",
                                               "power_milliwatts", "temperature_celsius"};

/// For ON CONFLICT: every field of the row that was to be inserted.
template <class Row>
std::string all_of_excluded() {
    std::string list;
    for (const Column& column : columns_of<Row>())
        if (!column.is_key) list += (list.empty() ? "" : ", ") + column.name + " = excluded." + column.name;
    return list;
}

/// Four columns for each level. Means count each minute by its samples.
std::string summary_columns() {
    std::string list;
    for (const std::string name : levels) {
        const std::string mean = "m." + name + "_mean";
        list += ", (sum(" + mean + "::numeric * m.samples) / nullif(sum(m.samples) FILTER (WHERE " + mean +
                " IS NOT NULL), 0))::bigint, percentile_disc(0.5) WITHIN GROUP (ORDER BY " + mean +
                ")::bigint, percentile_disc(0.95) WITHIN GROUP (ORDER BY " + mean + ")::bigint, max(m." +
                name + "_max)::bigint";
    }
    return list;
}

std::string summary_sql(const std::string& where) {
    std::string cards;
    for (const Column& column : columns_of<MeasuredCard>())
        cards += (cards.empty() ? "c." : ", c.") + column.name;
    return "SELECT " + cards + ", count(*)" + summary_columns() +
           " FROM telemetry_cards c JOIN telemetry_minutes m USING (lease_id, card_id) WHERE " + where +
           " GROUP BY c.lease_id, c.card_id ORDER BY c.lease_id, c.card_id";
}

std::optional<Summary> read_summary(const pqxx::row& row, int first) {
    if (row[first].is_null()) return std::nullopt;
    return Summary{read_cell<std::int64_t>(row[first]), read_cell<std::int64_t>(row[first + 1]),
                   read_cell<std::int64_t>(row[first + 2]), read_cell<std::int64_t>(row[first + 3])};
}

std::vector<CardSummary> read_summaries(const pqxx::result& found) {
    const auto width = static_cast<int>(columns_of<MeasuredCard>().size());
    std::vector<CardSummary> summaries;
    for (const auto& row : found)
        summaries.push_back({read_row<MeasuredCard>(row), read_cell<std::int64_t>(row[width]),
                             read_summary(row, width + 1), read_summary(row, width + 5),
                             read_summary(row, width + 9), read_summary(row, width + 13)});
    return summaries;
}

}  // namespace

void TelemetryStore::put(const std::vector<CardTelemetry>& cards) {
    std::vector<MeasuredCard> heads;
    std::vector<MeasuredMinute> minutes;
    for (const CardTelemetry& given : cards) {
        if (given.minutes.empty()) continue;
        heads.push_back(given.card);
        minutes.insert(minutes.end(), given.minutes.begin(), given.minutes.end());
    }
    if (minutes.empty()) return;
    const RowStatements& of_cards = statements_of<MeasuredCard>();
    tx_.prepared("put_telemetry_cards",
                 of_cards.insert_sql +
                     " ON CONFLICT (lease_id, card_id) DO UPDATE SET shared = telemetry_cards.shared OR"
                     " excluded.shared, memory_bytes = coalesce(excluded.memory_bytes,"
                     " telemetry_cards.memory_bytes), cpu_millis = coalesce(excluded.cpu_millis,"
                     " telemetry_cards.cpu_millis), last_at = greatest(telemetry_cards.last_at,"
                     " excluded.last_at)",
                 column_arrays(heads));
    const RowStatements& of_minutes = statements_of<MeasuredMinute>();
    tx_.prepared("put_telemetry_minutes",
                 of_minutes.insert_sql + " ON CONFLICT (lease_id, card_id, at) DO UPDATE SET " +
                     all_of_excluded<MeasuredMinute>() +
                     " WHERE telemetry_minutes.samples < excluded.samples",
                 column_arrays(minutes));
}

std::vector<CardSummary> TelemetryStore::summaries(LeaseId lease, Time from) {
    return read_summaries(tx_.query(summary_sql("c.lease_id = $1 AND m.at >= $2"), lease, from));
}

std::vector<CardSummary> TelemetryStore::summaries(JobId job, Time from) {
    return read_summaries(tx_.query(summary_sql("c.job_id = $1 AND m.at >= $2"), job, from));
}

std::int64_t TelemetryStore::cards_of(JobId job) {
    const auto found = tx_.query(
        "SELECT coalesce(max(cards), 0) FROM (SELECT count(*) AS cards FROM telemetry_cards"
        " WHERE job_id = $1 GROUP BY lease_id) AS leases",
        job);
    return read_cell<std::int64_t>(found[0][0]);
}

std::vector<MeasuredMinute> TelemetryStore::steps(LeaseId lease, Time from, Millis step) {
    std::string columns;
    for (const std::string name : levels)
        columns += ", (sum(" + name + "_mean::numeric * samples) / nullif(sum(samples) FILTER (WHERE " +
                   name + "_mean IS NOT NULL), 0))::bigint AS " + name + "_mean, max(" + name +
                   "_max) AS " + name + "_max";
    return read_all<MeasuredMinute>(
        tx_.query("SELECT " + select_list<MeasuredMinute>() +
                      " FROM (SELECT lease_id, card_id, $2::bigint + (at - $2::bigint) / $3::bigint *"
                      " $3::bigint AS at, organization_id, seller_id, sum(samples) AS samples" +
                      columns +
                      " FROM telemetry_minutes WHERE lease_id = $1 AND at >= $2::bigint"
                      " GROUP BY lease_id, card_id, 3, organization_id, seller_id) AS steps"
                      " ORDER BY card_id, at",
                  lease, from, step));
}

}  // namespace fallow::store
