#include "store/job_logs.hpp"

#include "store/row_reader.hpp"

namespace fallow::store {

namespace {

using accounts::LogEntry;

/// A line as the table has it.
struct LogRow {
    static constexpr std::string_view table = "job_logs";
    JobId job;
    std::int32_t attempt = 1;
    std::int64_t sequence = 0;
    OrganizationId organization;
    std::string stream;
    Time at;
    Bytes data;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("job_id", row.job);
        visit.key("attempt", row.attempt);
        visit.key("sequence", row.sequence);
        visit.field("organization_id", row.organization);
        visit.field("stream", row.stream);
        visit.field("at", row.at);
        visit.field("data", row.data);
    }
};

void insert_lines(Transaction& tx, OrganizationId organization, JobId job, std::int32_t attempt,
                  std::vector<LogEntry> entries) {
    std::vector<LogRow> rows;
    rows.reserve(entries.size());
    for (LogEntry& entry : entries) {
        rows.push_back({job, attempt, entry.sequence, organization,
                        std::string(accounts::api_name(entry.stream)), entry.at,
                        Bytes{std::move(entry.data)}});
    }
    const RowStatements& statements = statements_of<LogRow>();
    tx.prepared(statements.insert_name, statements.insert_sql, column_arrays(rows));
}

LogEntry read_line(const pqxx::row& row) {
    const auto stream = accounts::parse_log_stream(read_cell<std::string>(row[1]));
    FALLOW_ASSERT(stream.has_value());  // a constraint of the table
    return LogEntry{read_cell<std::int64_t>(row[0]), *stream, read_cell<Time>(row[2]),
                    read_cell<Bytes>(row[3]).octets};
}

}  // namespace

std::int64_t LogStore::append(OrganizationId organization, JobId job, std::int32_t attempt,
                              std::int64_t first_sequence, const std::vector<LogEntry>& entries) {
    // Makes the head, or locks the one there is.
    const auto head = tx_.query(
        "INSERT INTO job_log_heads AS head (job_id, attempt, organization_id, next_sequence, bytes, cut, "
        "updated_at)"
        " VALUES ($1, $2, $3, 0, 0, false, $4)"
        " ON CONFLICT (job_id, attempt) DO UPDATE SET updated_at = excluded.updated_at"
        " RETURNING next_sequence, cut",
        job, attempt, organization, author_.now);
    const auto bytes =
        tx_.query("SELECT coalesce(sum(bytes), 0)::bigint FROM job_log_heads WHERE job_id = $1", job);
    accounts::LogAppend plan =
        accounts::plan_append({read_cell<std::int64_t>(head[0][0]), read_cell<bool>(head[0][1])},
                              read_cell<std::int64_t>(bytes[0][0]), first_sequence, entries, author_.now);
    if (!plan.entries.empty()) insert_lines(tx_, organization, job, attempt, std::move(plan.entries));
    tx_.query(
        "UPDATE job_log_heads SET next_sequence = $3, bytes = bytes + $4, cut = $5"
        " WHERE job_id = $1 AND attempt = $2",
        job, attempt, plan.head.next_sequence, plan.bytes, plan.head.cut);
    return plan.head.next_sequence;
}

std::vector<LogEntry> LogStore::read(JobId job, std::int32_t attempt, std::int64_t after,
                                     std::int64_t limit) {
    const auto found =
        tx_.prepared("read_job_log",
                     "SELECT sequence, stream, at, data FROM job_logs"
                     " WHERE job_id = $1 AND attempt = $2 AND sequence > $3"
                     " ORDER BY sequence LIMIT $4",
                     {parameter_of(job), parameter_of(attempt), parameter_of(after), parameter_of(limit)});
    std::vector<LogEntry> entries;
    entries.reserve(found.size());
    for (const auto& row : found)
        entries.push_back(read_line(row));
    return entries;
}

}  // namespace fallow::store
