// Checkpoints: what the folder that a job names held at one moment. The content is in chunks of 1 MiB,
// named by their SHA-256 and kept once for each job; the manifest says which files they make up. A job's
// next attempt goes on from the newest one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

inline constexpr std::int64_t chunk_bytes_max = static_cast<std::int64_t>(limits::artifact_part_bytes_max);
inline constexpr std::int64_t checkpoint_bytes_max = 4LL * 1024 * 1024 * 1024;
inline constexpr std::size_t checkpoint_entries_max = 4096;
inline constexpr std::size_t checkpoint_chunks_max = 8192;  // in all entries together
inline constexpr std::int64_t checkpoints_kept_per_job = 2;
inline constexpr std::int64_t checkpoint_bytes_per_organization_max = 4 * checkpoint_bytes_max;
inline constexpr std::size_t checkpoint_problem_bytes_max = 500;
// 64 digits, quotes and a comma: a manifest of the largest checkpoint leaves half of a request to its
// paths.
static_assert(checkpoint_chunks_max * 67 <= limits::request_body_bytes_max * 2 / 3);
static_assert(checkpoint_bytes_max / chunk_bytes_max + static_cast<std::int64_t>(checkpoint_entries_max) <=
              static_cast<std::int64_t>(checkpoint_chunks_max));

FALLOW_ENUM(EntryKind, file, folder, link)

struct CheckpointEntry {
    std::string path;  ///< below the checkpoint's folder
    EntryKind kind = EntryKind::file;
    std::int32_t mode = 0;  ///< permissions of a file or folder, 0 to 0777
    std::int64_t bytes = 0;
    Time modified_at;
    std::string target;               ///< of a link
    std::vector<std::string> chunks;  ///< of a file: SHA-256 of each 1 MiB, the last one is what is left
    friend bool operator==(const CheckpointEntry&, const CheckpointEntry&) = default;
};

struct Checkpoint {
    static constexpr std::string_view table = "checkpoints";
    JobId job;
    std::int32_t number = 0;  ///< rises within a job
    OrganizationId organization;
    std::int32_t attempt = 1;
    LeaseId lease;
    std::int64_t lease_epoch = 0;
    std::int64_t bytes = 0;  ///< of all files together
    std::int32_t entries = 0;
    Time created_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("job_id", row.job);
        visit.key("number", row.number);
        visit.field("organization_id", row.organization);
        visit.field("attempt", row.attempt);
        visit.field("lease_id", row.lease);
        visit.field("lease_epoch", row.lease_epoch);
        visit.field("bytes", row.bytes);
        visit.field("entries", row.entries);
        visit.field("created_at", row.created_at);
    }
    friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

struct CheckpointWithEntries {
    Checkpoint checkpoint;
    std::string document;  ///< the entries, JSON
};

/// Why the folder could not be saved last; nothing once it was.
struct CheckpointProblem {
    std::string text;
    Time at;
};

/// Paths are those of check_job_path, each there once and after its folder; a file has as many chunks as
/// its size takes; all together have at most `bytes_max` bytes. invalid_field with a pointer
/// "/entries/N/…".
[[nodiscard]] Status check_entries(const std::vector<CheckpointEntry>& entries, std::int64_t bytes_max);

[[nodiscard]] std::int64_t bytes_of(const std::vector<CheckpointEntry>& entries);
/// Each once, in order.
[[nodiscard]] std::vector<std::string> chunks_of(const std::vector<CheckpointEntry>& entries);

/// The transaction is bound to the organization that owns the job, or to the host that runs it. What
/// changes something holds the job's lock until the end of the transaction.
class CheckpointStore {
  public:
    virtual ~CheckpointStore() = default;

    /// A save begins: chunks that neither it nor a checkpoint needs are dropped. Those of `chunks` that are
    /// not here yet, in their order.
    [[nodiscard]] virtual std::vector<std::string> begin(OrganizationId organization, JobId job,
                                                         const std::vector<std::string>& chunks) = 0;
    /// The caller has checked the hash. A repeat is harmless. limit_reached when the job would hold more
    /// than its checkpoints of `bytes_max` each, or the organization more than it may.
    [[nodiscard]] virtual Status put_chunk(OrganizationId organization, JobId job,
                                           const std::string& sha256, const std::string& octets,
                                           std::int64_t bytes_max) = 0;
    [[nodiscard]] virtual Result<std::string> read_chunk(JobId job, const std::string& sha256) = 0;

    /// `checkpoint` without its number. The oldest goes when there are more than checkpoints_kept_per_job.
    /// wrong_state with a pointer when a chunk has not arrived or has another size.
    [[nodiscard]] virtual Result<Checkpoint> commit(const Checkpoint& checkpoint,
                                                    const std::vector<CheckpointEntry>& entries,
                                                    const std::string& document) = 0;
    virtual void note_problem(OrganizationId organization, JobId job, const std::string& problem) = 0;

    /// The one that the next attempt goes on from: of the highest attempt the last.
    [[nodiscard]] virtual std::optional<CheckpointWithEntries> newest(JobId job) = 0;
    /// Newest first.
    [[nodiscard]] virtual std::vector<Checkpoint> list(JobId job) = 0;
    [[nodiscard]] virtual Result<CheckpointWithEntries> find(JobId job, std::int32_t number) = 0;
    [[nodiscard]] virtual std::optional<CheckpointProblem> problem(JobId job) = 0;
};

}  // namespace fallow::accounts
