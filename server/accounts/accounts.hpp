// accounts/: what belongs to organizations and is not market: API keys, enrolment tokens, agent
// certificates, artifacts, outputs and logs. Its rules are pure functions over the rows; what it needs of a
// database are the interfaces below, which server/store implements on PostgreSQL. It makes no secrets and
// reads no clock (auth/ and main do), and it moves no money and no card: those are decisions of the market.
//
// Every store below works inside one open transaction that the caller begins and commits, on the caller's
// thread, and blocks. Database failures are exceptions; what a caller can cause is a Result.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "accounts/artifacts.hpp"
#include "accounts/keys.hpp"
#include "accounts/logs.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

/// Who writes and when: for created_at, revoked_at and the journal.
struct Author {
    std::string name;  ///< "key_…", "host_…" or "system"
    Time now;
};

/// Where a page ends: lists are ordered by time, then id, oldest first. The API wraps it in an opaque
/// cursor.
struct Position {
    Time at;
    RawId id;
    friend bool operator==(const Position&, const Position&) = default;
};
template <class Row>
struct Page {
    std::vector<Row> items;
    std::optional<Position> next;  ///< set when there is more
};

// --- idempotency, for the routes that are not market commands

struct IdempotencyKey {
    OrganizationId organization;
    std::string route;  ///< "POST /v1/keys"
    std::string key;
    std::string body_hash;  ///< lower-case hex SHA-256 of path and body, as for the engine
};
struct StoredReply {
    std::int32_t status = 0;
    std::string body;
};

class IdempotencyStore {
  public:
    virtual ~IdempotencyStore() = default;
    /// Locks the key until the end of the transaction, so that a twin waits, and returns the reply that was
    /// stored for it, if any. idempotency_key_reused when it was used with another body.
    [[nodiscard]] virtual Result<std::optional<StoredReply>> claim(const IdempotencyKey& key) = 0;
    /// Keeps the reply with the rest of the transaction. A 5xx is never kept.
    virtual void keep(const IdempotencyKey& key, const StoredReply& reply, Time now) = 0;
};

// --- who asks: lookups before an organization is known, across organizations (database role of
// authentication)

struct FoundKey {
    ApiKey key;
    bool organization_frozen = false;
};
struct FoundCertificate {
    AgentCertificate certificate;
    bool host_retired = false;
    bool organization_frozen = false;
};

class AuthStore {
  public:
    virtual ~AuthStore() = default;
    /// `hash` is the secret's SHA-256, 32 raw bytes. Also finds keys that have ended: see check_usable().
    [[nodiscard]] virtual std::optional<FoundKey> find_key(const std::string& hash) = 0;
    [[nodiscard]] virtual std::optional<FoundCertificate> find_certificate(
        const std::string& serial_hex) = 0;
    /// Whether any key with scope admin may be used at `now`: false on a new installation.
    [[nodiscard]] virtual bool has_admin_key(Time now) = 0;
    /// Binds the token to `host` and `signing_key` (base64), and returns it. If it is bound already, to the
    /// same signing key, it is returned with the host id of then, which may be enrolled by now.
    /// token_invalid in every other case. Commit before the engine is told to enrol token.host.
    [[nodiscard]] virtual Result<EnrollmentToken> reserve_token(const std::string& hash, HostId host,
                                                                const std::string& signing_key,
                                                                Time now) = 0;
    /// At enrolment and at each renewal.
    virtual void record_certificate(const AgentCertificate& certificate) = 0;
};

// --- one organization's own (the transaction is bound to it)

class AccountsStore {
  public:
    virtual ~AccountsStore() = default;

    /// `key` is complete (its organization is the transaction's); `hash` is its secret's SHA-256.
    /// limit_reached.
    [[nodiscard]] virtual Result<ApiKey> create_key(const ApiKey& key, const std::string& hash) = 0;
    [[nodiscard]] virtual Page<ApiKey> list_keys(std::int64_t limit, std::optional<Position> after) = 0;
    [[nodiscard]] virtual Result<ApiKey> find_key(KeyId key) = 0;
    /// Harmless when it is revoked already. not_found.
    [[nodiscard]] virtual Result<ApiKey> revoke_key(KeyId key) = 0;
    /// By the rules of rotate(). not_found, wrong_state.
    [[nodiscard]] virtual Result<Rotation> rotate_key(KeyId old, KeyId fresh, const std::string& prefix,
                                                      const std::string& hash) = 0;

    /// `token` is complete; `hash` is its secret's SHA-256. limit_reached.
    [[nodiscard]] virtual Result<EnrollmentToken> create_token(const EnrollmentToken& token,
                                                               const std::string& hash) = 0;
};

struct OutputWithArtifact {
    JobOutput output;
    Artifact artifact;
};

/// The transaction is bound to the organization that owns the artifacts, or to the host whose leases' jobs
/// they are of.
class ArtifactStore {
  public:
    virtual ~ArtifactStore() = default;

    /// `artifact` comes from new_artifact(). limit_reached when the organization's artifacts would pass
    /// artifact_bytes_per_organization_max or artifacts_per_organization_max.
    [[nodiscard]] virtual Result<Artifact> create(const Artifact& artifact) = 0;
    [[nodiscard]] virtual Result<Artifact> find(ArtifactId artifact) = 0;
    /// A repeat with the same octets is harmless, also after completion. not_found, invalid_field,
    /// wrong_state.
    [[nodiscard]] virtual Status put_part(ArtifactId artifact, std::int32_t number,
                                          const std::string& octets) = 0;
    /// The numbers of the parts that have not arrived, rising. not_found.
    [[nodiscard]] virtual Result<std::vector<std::int32_t>> missing_parts(ArtifactId artifact) = 0;
    /// Checks the SHA-256 over all parts, one part in memory at a time. A repeat returns the same.
    /// wrong_state when parts are missing; hash_mismatch leaves it uploading, and its parts may be sent
    /// again.
    [[nodiscard]] virtual Result<Artifact> complete(ArtifactId artifact) = 0;
    /// not_found also for a part that has not arrived; wrong_state while uploading.
    [[nodiscard]] virtual Result<std::string> read_part(ArtifactId artifact, std::int32_t number) = 0;

    /// All of them exist, are complete, and are from now on kept until `keep_until` at least: called before
    /// an order or a job names them as inputs. not_found or wrong_state with a pointer
    /// "/inputs/N/artifact_id" after `prefix`.
    [[nodiscard]] virtual Status require_complete(const std::vector<ArtifactId>& artifacts, Time keep_until,
                                                  std::string_view prefix) = 0;

    /// The artifact of (job, attempt, path): `artifact` when there was none, else the one there is, which
    /// must state the same size and hash (wrong_state when it is complete; an unfinished one is replaced).
    /// limit_reached.
    [[nodiscard]] virtual Result<Artifact> create_output(const JobOutput& output,
                                                         const Artifact& artifact) = 0;
    /// Whether `artifact` is an output of that attempt: an agent may write to no other. not_found.
    [[nodiscard]] virtual Status require_output(JobId job, std::int32_t attempt, ArtifactId artifact) = 0;
    /// Ordered by attempt, then path.
    [[nodiscard]] virtual std::vector<OutputWithArtifact> list_outputs(JobId job) = 0;
};

/// The transaction is bound to the organization that owns the job, or to the host that runs it.
/// `organization` below is the owner's either way.
class LogStore {
  public:
    virtual ~LogStore() = default;
    /// By the rules of plan_append(); returns the next sequence. The caller has checked that the job
    /// exists.
    [[nodiscard]] virtual std::int64_t append(OrganizationId organization, JobId job, std::int32_t attempt,
                                              std::int64_t first_sequence,
                                              const std::vector<LogEntry>& entries) = 0;
    /// Entries above `after` (-1: from the start), in order, at most `limit`.
    [[nodiscard]] virtual std::vector<LogEntry> read(JobId job, std::int32_t attempt, std::int64_t after,
                                                     std::int64_t limit) = 0;
};

}  // namespace fallow::accounts
