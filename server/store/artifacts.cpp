#include "store/artifacts.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "store/accounts_support.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {

namespace {

using accounts::Artifact;
using accounts::ArtifactState;

Error no_such_artifact(std::string pointer = {}) {
    return refuse(ErrorCode::not_found, "There is no such artifact, or it has expired.",
                  std::move(pointer));
}

/// SHA-256 piece by piece.
class Hasher {
  public:
    Hasher() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
        check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
    }
    void add(const std::string& octets) {
        check(EVP_DigestUpdate(context_.get(), octets.data(), octets.size()) == 1);
    }
    [[nodiscard]] std::string hex() {
        std::array<unsigned char, 32> digest{};
        check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
        std::string text;
        for (const unsigned char byte : digest) {
            text.push_back("0123456789abcdef"[byte >> 4U]);
            text.push_back("0123456789abcdef"[byte & 15U]);
        }
        return text;
    }

  private:
    static void check(bool good) {
        if (!good) throw std::runtime_error("OpenSSL cannot compute SHA-256");
    }
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

Status check_quota(Transaction& tx, const Artifact& artifact, Time now) {
    lock_name(tx, "artifacts " + artifact.organization.text());
    const auto held =
        tx.query("SELECT held, held_bytes FROM artifacts_held($1, $2)", artifact.organization, now);
    if (read_cell<std::int64_t>(held[0][0]) >= limits::artifacts_per_organization_max) {
        return refuse(ErrorCode::limit_reached, "An organization keeps at most " +
                                                    std::to_string(limits::artifacts_per_organization_max) +
                                                    " artifacts; the oldest end after 72 hours.");
    }
    const auto free = limits::artifact_bytes_per_organization_max - read_cell<std::int64_t>(held[0][1]);
    if (artifact.bytes > free) {
        return refuse(ErrorCode::limit_reached, "The organization's artifacts may have " +
                                                    std::to_string(free) +
                                                    " more bytes; the oldest end after 72 hours.");
    }
    return Done{};
}

}  // namespace

Result<Artifact> ArtifactStore::create(const Artifact& artifact) {
    if (const Status fits = check_quota(tx_, artifact, author_.now); !fits) return fits.error();
    tx_.query(
        "INSERT INTO artifacts (id, organization_id, name, bytes, sha256, state, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        artifact.id, artifact.organization, artifact.name, artifact.bytes, artifact.sha256, artifact.state,
        artifact.created_at, artifact.expires_at);
    return artifact;
}

Result<Artifact> ArtifactStore::find(ArtifactId artifact) {
    const auto found =
        tx_.query("SELECT " + select_list<Artifact>() + " FROM artifacts WHERE id = $1 AND expires_at > $2",
                  artifact, author_.now);
    if (found.empty()) return no_such_artifact();
    return read_row<Artifact>(found[0]);
}

Result<Artifact> ArtifactStore::lock(ArtifactId artifact) {
    const auto found = tx_.query("SELECT " + select_list<Artifact>() +
                                     " FROM artifacts WHERE id = $1 AND expires_at > $2 FOR UPDATE",
                                 artifact, author_.now);
    if (found.empty()) return no_such_artifact();
    return read_row<Artifact>(found[0]);
}

std::optional<std::string> ArtifactStore::part(ArtifactId artifact, std::int32_t number) {
    const auto found =
        tx_.prepared("read_artifact_part",
                     "SELECT coalesce(p.data, c.data) FROM artifact_parts p LEFT JOIN output_chunks c"
                     " ON c.job_id = p.chunk_job_id AND c.sha256 = p.chunk_sha256"
                     " WHERE p.artifact_id = $1 AND p.part = $2",
                     {parameter_of(artifact), parameter_of(number)});
    if (found.empty() || found[0][0].is_null()) return std::nullopt;
    return read_cell<Bytes>(found[0][0]).octets;
}

Status ArtifactStore::put_part(ArtifactId artifact, std::int32_t number, const std::string& octets) {
    const auto locked = lock(artifact);
    if (!locked) return locked.error();
    if (const Status good = accounts::check_part(*locked, number, octets.size()); !good) return good;
    if (locked->state == ArtifactState::complete) {
        if (part(artifact, number) == octets) return Done{};
        return refuse(ErrorCode::wrong_state,
                      "The artifact is complete and cannot be changed; make another.");
    }
    const auto written =
        tx_.prepared("write_artifact_part",
                     "INSERT INTO artifact_parts (artifact_id, part, data) VALUES ($1, $2, $3)"
                     " ON CONFLICT (artifact_id, part) DO UPDATE SET data = excluded.data"
                     " RETURNING xmax = 0",
                     {parameter_of(artifact), parameter_of(number), parameter_of(Bytes{octets})});
    const bool is_new = read_cell<bool>(written[0][0]);
    if (is_new)
        tx_.query("UPDATE artifacts SET parts_received = parts_received + 1 WHERE id = $1", artifact);
    return Done{};
}

Result<std::vector<std::int32_t>> ArtifactStore::missing_parts(ArtifactId artifact) {
    const auto found = find(artifact);
    if (!found) return found.error();
    std::vector<std::int32_t> missing;
    for (const auto& row :
         tx_.query("SELECT number FROM generate_series(0, $2::integer - 1) AS number WHERE NOT EXISTS"
                   " (SELECT FROM artifact_parts WHERE artifact_id = $1 AND part = number) ORDER BY number",
                   artifact, accounts::part_count(found->bytes)))
        missing.push_back(read_cell<std::int32_t>(row[0]));
    return missing;
}

std::string ArtifactStore::sha256_of(const Artifact& artifact) {
    Hasher hasher;
    for (std::int32_t number = 0; number < accounts::part_count(artifact.bytes); ++number) {
        const auto octets = part(artifact.id, number);
        FALLOW_ASSERT(octets.has_value());
        hasher.add(*octets);
    }
    return hasher.hex();
}

Result<Artifact> ArtifactStore::complete(ArtifactId artifact) {
    auto locked = lock(artifact);
    if (!locked || locked->state == ArtifactState::complete) return locked;
    const std::int32_t expected = accounts::part_count(locked->bytes);
    if (locked->parts_received != expected) {
        return refuse(ErrorCode::wrong_state, std::to_string(locked->parts_received) + " of " +
                                                  std::to_string(expected) +
                                                  " parts have arrived; send the others first.");
    }
    if (const std::string actual = sha256_of(*locked); actual != locked->sha256) {
        return refuse(ErrorCode::hash_mismatch, "The parts have the SHA-256 " + actual + "; " +
                                                    locked->sha256 + " was stated. Send the parts again.");
    }
    locked->state = ArtifactState::complete;
    locked->expires_at = author_.now + Millis(limits::artifact_retention_ms);
    tx_.query("UPDATE artifacts SET state = $2, expires_at = $3 WHERE id = $1", artifact, locked->state,
              locked->expires_at);
    return locked;
}

Result<std::string> ArtifactStore::read_part(ArtifactId artifact, std::int32_t number) {
    const auto found = find(artifact);
    if (!found) return found.error();
    if (found->state != ArtifactState::complete) {
        return refuse(ErrorCode::wrong_state, "The artifact is not complete; it cannot be read yet.");
    }
    auto octets = part(artifact, number);
    if (!octets) {
        return refuse(ErrorCode::not_found, "The artifact has " +
                                                std::to_string(accounts::part_count(found->bytes)) +
                                                " parts, counted from 0.");
    }
    return std::move(*octets);
}

Status ArtifactStore::require_complete(const std::vector<ArtifactId>& artifacts, Time keep_until,
                                       std::string_view prefix) {
    // Each row is locked, so that none can expire before the update; always in the order of ids, so that
    // two orders with the same inputs do not wait for each other.
    const auto found = tx_.query(
        "SELECT id, state FROM artifacts WHERE id = ANY ($1) AND expires_at > $2"
        " ORDER BY id FOR UPDATE",
        artifacts, author_.now);
    for (std::size_t i = 0; i < artifacts.size(); ++i) {
        const std::string pointer = std::string(prefix) + "/inputs/" + std::to_string(i) + "/artifact_id";
        bool known = false;
        for (const auto& row : found) {
            if (read_cell<ArtifactId>(row[0]) != artifacts[i]) continue;
            known = true;
            if (read_cell<ArtifactState>(row[1]) == ArtifactState::complete) continue;
            return refuse(ErrorCode::wrong_state, "The artifact is not complete; upload it first.",
                          pointer);
        }
        if (!known) return no_such_artifact(pointer);
    }
    tx_.query("UPDATE artifacts SET expires_at = $2 WHERE id = ANY ($1) AND expires_at < $2", artifacts,
              keep_until);
    // An output of another job is made of that one's chunks, which end with it.
    tx_.query("SELECT artifacts_detach($1)", artifacts);
    return Done{};
}

Result<Artifact> ArtifactStore::create_output(const accounts::JobOutput& output, const Artifact& artifact) {
    lock_name(tx_, "job_outputs " + output.job.text());
    const auto known =
        tx_.query("SELECT artifact_id FROM job_outputs WHERE job_id = $1 AND attempt = $2 AND path = $3",
                  output.job, output.attempt, output.path);
    if (known.empty()) {
        auto created = create(artifact);
        if (!created) return created;
        tx_.query(
            "INSERT INTO job_outputs (job_id, attempt, lease_id, path, artifact_id, organization_id)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            output.job, output.attempt, output.lease, output.path, artifact.id, artifact.organization);
        return created;
    }
    const auto earlier = lock(read_cell<ArtifactId>(known[0][0]));
    if (earlier && earlier->bytes == artifact.bytes && earlier->sha256 == artifact.sha256) return earlier;
    if (earlier && earlier->state == ArtifactState::complete) {
        return refuse(ErrorCode::wrong_state, "This output of the attempt is complete, with other content.",
                      "/path");
    }
    if (earlier) tx_.query("UPDATE artifacts SET expires_at = $2 WHERE id = $1", earlier->id, author_.now);
    auto created = create(artifact);
    if (!created) return created;
    tx_.query("UPDATE job_outputs SET artifact_id = $4 WHERE job_id = $1 AND attempt = $2 AND path = $3",
              output.job, output.attempt, output.path, artifact.id);
    return created;
}

Status ArtifactStore::require_output(JobId job, std::int32_t attempt, ArtifactId artifact) {
    const auto found =
        tx_.query("SELECT FROM job_outputs WHERE job_id = $1 AND attempt = $2 AND artifact_id = $3", job,
                  attempt, artifact);
    if (found.empty()) return no_such_artifact();
    return Done{};
}

std::vector<accounts::OutputWithArtifact> ArtifactStore::list_outputs(JobId job) {
    using accounts::JobOutput;
    const auto found =
        tx_.query("SELECT " + qualified_columns(columns_of<JobOutput>(), "o") + ", " +
                      qualified_columns(columns_of<Artifact>(), "a") +
                      " FROM job_outputs o JOIN artifacts a ON a.id = o.artifact_id"
                      " WHERE o.job_id = $1 AND a.expires_at > $2 ORDER BY o.attempt, o.path COLLATE \"C\"",
                  job, author_.now);
    const auto width = static_cast<int>(columns_of<JobOutput>().size());
    std::vector<accounts::OutputWithArtifact> outputs;
    for (const auto& row : found)
        outputs.push_back({read_row<JobOutput>(row), read_row<Artifact>(row, width)});
    return outputs;
}

}  // namespace fallow::store
