// Artifacts: files that go into jobs and come out of them, kept for 72 hours in parts of 1 MiB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

FALLOW_ENUM(ArtifactState, uploading, complete)

struct Artifact {
    static constexpr std::string_view table = "artifacts";
    ArtifactId id;
    OrganizationId organization;
    std::string name;
    std::int64_t bytes = 0;
    std::string sha256;  ///< 64 lower-case hexadecimal digits, as stated before the upload
    ArtifactState state = ArtifactState::uploading;
    std::int32_t parts_received = 0;
    Time created_at;
    Time expires_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("name", row.name);
        visit.field("bytes", row.bytes);
        visit.field("sha256", row.sha256);
        visit.field("state", row.state);
        visit.field("parts_received", row.parts_received);
        visit.field("created_at", row.created_at);
        visit.field("expires_at", row.expires_at);
    }
    friend bool operator==(const Artifact&, const Artifact&) = default;
};

/// What an attempt of a job left under /work/out/PATH.
struct JobOutput {
    static constexpr std::string_view table = "job_outputs";
    JobId job;
    std::int32_t attempt = 1;
    LeaseId lease;  ///< that attempt's
    std::string path;
    ArtifactId artifact;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("job_id", row.job);
        visit.key("attempt", row.attempt);
        visit.key("path", row.path);
        visit.field("lease_id", row.lease);
        visit.field("artifact_id", row.artifact);
    }
    friend bool operator==(const JobOutput&, const JobOutput&) = default;
};

/// Parts of an artifact of `bytes` octets; 0 for an empty one.
[[nodiscard]] std::int32_t part_count(std::int64_t bytes);

/// Octets of part `number`, counted from 0: artifact_part_bytes_max, and what is left for the last. Nothing
/// when there is no such part.
[[nodiscard]] std::optional<std::int64_t> part_size(std::int64_t bytes, std::int32_t number);

/// 0 to artifact_bytes_max, or invalid_field at "/bytes".
[[nodiscard]] Status check_artifact_bytes(std::int64_t bytes);
/// 64 lower-case hexadecimal digits, or invalid_field at "/sha256".
[[nodiscard]] Status check_sha256(std::string_view text);
/// A relative path of an input or an output: no empty, "." or ".." segment, no leading or trailing '/', no
/// control character, no backslash; at most text_field_bytes_max bytes. invalid_field at `pointer`.
[[nodiscard]] Status check_job_path(std::string_view path, std::string_view pointer = "/path");
/// A part that arrived: there is such a part (else not_found), and it has exactly its size (else
/// invalid_field).
[[nodiscard]] Status check_part(const Artifact& artifact, std::int32_t number, std::size_t size);

/// A new artifact, uploading, that ends artifact_retention_ms from now.
[[nodiscard]] Artifact new_artifact(ArtifactId id, OrganizationId organization, std::string name,
                                    std::int64_t bytes, std::string sha256, Time now);

}  // namespace fallow::accounts
