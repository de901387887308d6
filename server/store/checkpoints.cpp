#include "store/checkpoints.hpp"

#include <algorithm>
#include <unordered_map>

#include "store/row_reader.hpp"

namespace fallow::store {

namespace {

using accounts::Checkpoint;
using accounts::CheckpointEntry;
using accounts::CheckpointWithEntries;

constexpr const char* newest_first = " ORDER BY attempt DESC, number DESC";

CheckpointWithEntries read_with_document(const pqxx::row& row) {
    const auto width = static_cast<int>(columns_of<Checkpoint>().size());
    return {read_row<Checkpoint>(row), read_cell<std::string>(row[width])};
}

}  // namespace

CheckpointStore::Head CheckpointStore::lock(OrganizationId organization, JobId job) {
    tx_.query(
        "INSERT INTO checkpoint_heads (job_id, organization_id) VALUES ($1, $2)"
        " ON CONFLICT (job_id) DO NOTHING",
        job, organization);
    const auto found = tx_.query(
        "SELECT next_number, stored_bytes FROM checkpoint_heads WHERE job_id = $1 FOR UPDATE", job);
    return {read_cell<std::int32_t>(found[0][0]), read_cell<std::int64_t>(found[0][1])};
}

void CheckpointStore::drop_chunks(JobId job, const std::vector<std::string>& wanted) {
    tx_.query(
        "DELETE FROM checkpoint_chunks c WHERE c.job_id = $1 AND NOT c.sha256 = ANY ($2::text[])"
        " AND c.sha256 NOT IN (SELECT unnest(k.chunks) FROM checkpoints k WHERE k.job_id = $1)",
        job, wanted);
    tx_.query(
        "UPDATE checkpoint_heads SET stored_bytes ="
        " (SELECT coalesce(sum(bytes), 0) FROM checkpoint_chunks WHERE job_id = $1) WHERE job_id = $1",
        job);
}

std::vector<std::string> CheckpointStore::begin(OrganizationId organization, JobId job,
                                                const std::vector<std::string>& chunks) {
    static_cast<void>(lock(organization, job));
    drop_chunks(job, chunks);
    const auto found = tx_.query(
        "SELECT w.sha256 FROM unnest($2::text[]) WITH ORDINALITY AS w (sha256, place)"
        " WHERE NOT EXISTS (SELECT FROM checkpoint_chunks c WHERE c.job_id = $1 AND c.sha256 = w.sha256)"
        " ORDER BY w.place",
        job, chunks);
    std::vector<std::string> missing;
    for (const auto& row : found)
        missing.push_back(read_cell<std::string>(row[0]));
    return missing;
}

Status CheckpointStore::put_chunk(OrganizationId organization, JobId job, const std::string& sha256,
                                  const std::string& octets, std::int64_t bytes_max) {
    const Head head = lock(organization, job);
    const auto known =
        tx_.query("SELECT FROM checkpoint_chunks WHERE job_id = $1 AND sha256 = $2", job, sha256);
    if (!known.empty()) return Done{};
    const auto size = static_cast<std::int64_t>(octets.size());
    // The ones that are kept, and the one on its way.
    const std::int64_t job_max = (accounts::checkpoints_kept_per_job + 1) * bytes_max;
    if (head.stored_bytes + size > job_max)
        return refuse(ErrorCode::limit_reached, "The job's checkpoints hold at most " +
                                                    std::to_string(job_max) +
                                                    " bytes; give it a larger bytes_max.");
    const auto held = tx_.query("SELECT checkpoint_bytes_held($1)", organization);
    if (read_cell<std::int64_t>(held[0][0]) + size > accounts::checkpoint_bytes_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      "The organization's checkpoints hold at most " +
                          std::to_string(accounts::checkpoint_bytes_per_organization_max) +
                          " bytes; those of a job end 72 hours after it.");
    tx_.prepared("write_checkpoint_chunk",
                 "INSERT INTO checkpoint_chunks (job_id, sha256, organization_id, bytes, data)"
                 " VALUES ($1, $2, $3, $4, $5)",
                 {parameter_of(job), parameter_of(sha256), parameter_of(organization), parameter_of(size),
                  parameter_of(Bytes{octets})});
    tx_.query("UPDATE checkpoint_heads SET stored_bytes = stored_bytes + $2 WHERE job_id = $1", job, size);
    return Done{};
}

Result<std::string> CheckpointStore::read_chunk(JobId job, const std::string& sha256) {
    const auto found = tx_.prepared("read_checkpoint_chunk",
                                    "SELECT data FROM checkpoint_chunks WHERE job_id = $1 AND sha256 = $2",
                                    {parameter_of(job), parameter_of(sha256)});
    if (found.empty())
        return refuse(ErrorCode::not_found, "There is no such chunk; a newer checkpoint has replaced it.");
    return std::move(read_cell<Bytes>(found[0][0]).octets);
}

Status CheckpointStore::check_arrived(JobId job, const std::vector<CheckpointEntry>& entries) {
    std::unordered_map<std::string, std::int64_t> sizes;
    const auto found = tx_.query(
        "SELECT sha256, bytes FROM checkpoint_chunks WHERE job_id = $1 AND sha256 = ANY ($2::text[])", job,
        accounts::chunks_of(entries));
    for (const auto& row : found)
        sizes[read_cell<std::string>(row[0])] = read_cell<std::int64_t>(row[1]);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        std::int64_t left = entries[i].bytes;
        for (const std::string& chunk : entries[i].chunks) {
            const auto known = sizes.find(chunk);
            const std::int64_t expected = std::min(accounts::chunk_bytes_max, left);
            if (known == sizes.end() || known->second != expected)
                return refuse(ErrorCode::wrong_state,
                              "The chunk " + chunk + " has not arrived with its " +
                                  std::to_string(expected) +
                                  " bytes; ask which are missing, and send them.",
                              "/entries/" + std::to_string(i) + "/chunks");
            left -= expected;
        }
    }
    return Done{};
}

Result<Checkpoint> CheckpointStore::commit(const Checkpoint& checkpoint,
                                           const std::vector<CheckpointEntry>& entries,
                                           const std::string& document) {
    Checkpoint made = checkpoint;
    made.number = lock(checkpoint.organization, checkpoint.job).next_number;
    if (const Status arrived = check_arrived(made.job, entries); !arrived) return arrived.error();
    tx_.query(
        "INSERT INTO checkpoints (job_id, number, organization_id, attempt, lease_id, lease_epoch, bytes,"
        " entries, created_at, document, chunks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        made.job, made.number, made.organization, made.attempt, made.lease, made.lease_epoch, made.bytes,
        made.entries, made.created_at, document, accounts::chunks_of(entries));
    tx_.query(std::string("DELETE FROM checkpoints WHERE job_id = $1 AND number IN"
                          " (SELECT number FROM checkpoints WHERE job_id = $1") +
                  newest_first + " OFFSET $2)",
              made.job, accounts::checkpoints_kept_per_job);
    drop_chunks(made.job, {});
    tx_.query(
        "UPDATE checkpoint_heads SET next_number = next_number + 1, problem = NULL, problem_at = NULL"
        " WHERE job_id = $1",
        made.job);
    return made;
}

void CheckpointStore::note_problem(OrganizationId organization, JobId job, const std::string& problem) {
    static_cast<void>(lock(organization, job));
    tx_.query("UPDATE checkpoint_heads SET problem = $2, problem_at = $3 WHERE job_id = $1", job, problem,
              author_.now);
}

std::optional<CheckpointWithEntries> CheckpointStore::newest(JobId job) {
    const auto found =
        tx_.query("SELECT " + select_list<Checkpoint>() + ", document FROM checkpoints WHERE job_id = $1" +
                      newest_first + " LIMIT 1",
                  job);
    if (found.empty()) return std::nullopt;
    return read_with_document(found[0]);
}

std::vector<Checkpoint> CheckpointStore::list(JobId job) {
    return read_all<Checkpoint>(tx_.query(
        "SELECT " + select_list<Checkpoint>() + " FROM checkpoints WHERE job_id = $1" + newest_first, job));
}

Result<CheckpointWithEntries> CheckpointStore::find(JobId job, std::int32_t number) {
    const auto found = tx_.query("SELECT " + select_list<Checkpoint>() +
                                     ", document FROM checkpoints WHERE job_id = $1 AND number = $2",
                                 job, number);
    if (found.empty())
        return refuse(ErrorCode::not_found,
                      "The job has no such checkpoint, or a newer one has replaced it.");
    return read_with_document(found[0]);
}

std::optional<accounts::CheckpointProblem> CheckpointStore::problem(JobId job) {
    const auto found = tx_.query(
        "SELECT problem, problem_at FROM checkpoint_heads WHERE job_id = $1 AND problem IS NOT NULL", job);
    if (found.empty()) return std::nullopt;
    return accounts::CheckpointProblem{read_cell<std::string>(found[0][0]), read_cell<Time>(found[0][1])};
}

}  // namespace fallow::store
