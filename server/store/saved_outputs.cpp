#include "store/saved_outputs.hpp"

#include <algorithm>
#include <unordered_map>

#include "store/artifacts.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {

using accounts::OutputFile;
using accounts::OutputUpload;

void SavedOutputStore::lock(const OutputUpload& upload) {
    tx_.query(
        "INSERT INTO output_heads (job_id, attempt, organization_id, lease_id) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (job_id, attempt) DO NOTHING",
        upload.job, upload.attempt, upload.organization, upload.lease);
    tx_.query("SELECT FROM output_heads WHERE job_id = $1 AND attempt = $2 FOR UPDATE", upload.job,
              upload.attempt);
}

void SavedOutputStore::drop(JobId job, const std::vector<std::string>& wanted) {
    tx_.query("SELECT output_chunks_drop($1, $2::text[])", job, wanted);
}

std::vector<std::string> SavedOutputStore::begin(const OutputUpload& upload) {
    lock(upload);
    const auto chunks = accounts::chunks_of(upload.files);
    drop(upload.job, chunks);
    const auto found = tx_.query(
        "SELECT w.sha256 FROM unnest($2::text[]) AS w (sha256)"
        " WHERE NOT EXISTS (SELECT FROM output_chunks c WHERE c.job_id = $1 AND c.sha256 = w.sha256)",
        upload.job, chunks);
    std::vector<std::string> missing;
    for (const auto& row : found)
        missing.push_back(read_cell<std::string>(row[0]));
    return missing;
}

Status SavedOutputStore::put_chunk(OrganizationId organization, JobId job, const std::string& sha256,
                                   const std::string& octets) {
    const auto size = static_cast<std::int64_t>(octets.size());
    const auto held = tx_.query("SELECT output_bytes_held($1)", organization);
    if (read_cell<std::int64_t>(held[0][0]) + size > accounts::output_bytes_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      "The organization's outputs hold at most " +
                          std::to_string(accounts::output_bytes_per_organization_max) +
                          " bytes; those of a job end 72 hours after it.");
    tx_.prepared("write_output_chunk",
                 "INSERT INTO output_chunks (job_id, sha256, organization_id, bytes, data)"
                 " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (job_id, sha256) DO NOTHING",
                 {parameter_of(job), parameter_of(sha256), parameter_of(organization), parameter_of(size),
                  parameter_of(Bytes{octets})});
    return Done{};
}

Status SavedOutputStore::check_arrived(const OutputUpload& upload) {
    std::unordered_map<std::string, std::int64_t> sizes;
    const auto found =
        tx_.query("SELECT sha256, bytes FROM output_chunks WHERE job_id = $1 AND sha256 = ANY ($2::text[])",
                  upload.job, accounts::chunks_of(upload.files));
    for (const auto& row : found)
        sizes[read_cell<std::string>(row[0])] = read_cell<std::int64_t>(row[1]);
    for (std::size_t i = 0; i < upload.files.size(); ++i) {
        const OutputFile& file = upload.files[i];
        for (std::size_t number = 0; number < file.chunks.size(); ++number) {
            const auto known = sizes.find(file.chunks[number]);
            const auto expected = accounts::part_size(file.bytes, static_cast<std::int32_t>(number));
            if (known != sizes.end() && known->second == expected) continue;
            return refuse(ErrorCode::wrong_state,
                          "The chunk " + file.chunks[number] +
                              " has not arrived with its size; ask which are missing, and send them.",
                          "/files/" + std::to_string(i) + "/chunks");
        }
    }
    return Done{};
}

void SavedOutputStore::fill(const OutputUpload& upload, const OutputFile& file, ArtifactId artifact) {
    tx_.query(
        "INSERT INTO artifact_parts (artifact_id, part, chunk_job_id, chunk_sha256)"
        " SELECT $1, w.place - 1, $2, w.sha256 FROM unnest($3::text[]) WITH ORDINALITY AS w (sha256, "
        "place)",
        artifact, upload.job, file.chunks);
    tx_.query("UPDATE artifacts SET state = 'complete', parts_received = $2, expires_at = $3 WHERE id = $1",
              artifact, static_cast<std::int32_t>(file.chunks.size()), upload.keep_until);
}

Status SavedOutputStore::put_in_place(const OutputUpload& upload, const OutputFile& file,
                                      ArtifactId fresh) {
    const auto known = tx_.query(
        "SELECT a.id, a.bytes, a.sha256, a.state FROM job_outputs o JOIN artifacts a ON a.id = "
        "o.artifact_id"
        " WHERE o.job_id = $1 AND o.attempt = $2 AND o.path = $3 AND a.expires_at > $4",
        upload.job, upload.attempt, file.path, author_.now);
    const auto is_same = [&](const pqxx::row& row) {
        return read_cell<std::int64_t>(row[1]) == file.bytes &&
               read_cell<std::string>(row[2]) == file.sha256 &&
               read_cell<std::string>(row[3]) == "complete";
    };
    if (!known.empty()) {
        const auto earlier = read_cell<ArtifactId>(known[0][0]);
        const bool stays = is_same(known[0]);
        // What is replaced is gone from the quota at once, and its parts within a minute.
        tx_.query("UPDATE artifacts SET expires_at = $2 WHERE id = $1", earlier,
                  stays ? upload.keep_until : author_.now);
        if (stays) return Done{};
    }
    const auto made = ArtifactStore(tx_, author_)
                          .create(accounts::new_artifact(fresh, upload.organization, file.path, file.bytes,
                                                         file.sha256, author_.now));
    if (!made) return made.error();
    fill(upload, file, fresh);
    tx_.query(
        "INSERT INTO job_outputs (job_id, attempt, lease_id, path, artifact_id, organization_id)"
        " VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (job_id, attempt, path) DO UPDATE SET artifact_id = excluded.artifact_id",
        upload.job, upload.attempt, upload.lease, file.path, fresh, upload.organization);
    return Done{};
}

Status SavedOutputStore::commit(const OutputUpload& upload, const std::function<ArtifactId()>& make_id) {
    lock(upload);
    const auto taken = tx_.query(
        "UPDATE output_heads SET sequence = $3, saved_at = $4 WHERE job_id = $1 AND attempt = $2"
        " AND sequence < $3 RETURNING sequence",
        upload.job, upload.attempt, upload.sequence, author_.now);
    if (taken.empty())
        return refuse(ErrorCode::wrong_state, "A later upload of these outputs is here already.",
                      "/sequence");
    if (const Status arrived = check_arrived(upload); !arrived) return arrived;
    for (const OutputFile& file : upload.files)
        if (const Status placed = put_in_place(upload, file, make_id()); !placed) return placed;
    drop(upload.job, {});
    return Done{};
}

}  // namespace fallow::store
