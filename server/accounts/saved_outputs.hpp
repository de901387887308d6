// Outputs that a job's host saves while the job runs, and once more after its exit: chunks of 1 MiB, each
// kept once for the job, of which the artifacts of the outputs are made. So what has not changed is neither
// sent nor stored again, and all files of an upload become the attempt's outputs at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

struct OutputFile {
    std::string path;  ///< below /work/out
    std::int64_t bytes = 0;
    std::string sha256;
    std::vector<std::string> chunks;  ///< the SHA-256 of each 1 MiB
};

struct OutputUpload {
    OrganizationId organization;
    JobId job;
    std::int32_t attempt = 1;
    LeaseId lease;
    std::int64_t sequence = 0;  ///< rises within the attempt
    Time keep_until;
    std::vector<OutputFile> files;
};

/// What an organization's jobs may hold in chunks: its artifacts, and what is on its way to replace them.
inline constexpr std::int64_t output_bytes_per_organization_max =
    3 * limits::artifact_bytes_per_organization_max;

/// Each path is one of `declared` and there once; sizes, hashes and the number of chunks fit. invalid_field
/// with a pointer below "/files".
[[nodiscard]] Status check_output_files(const std::vector<OutputFile>& files,
                                        const std::vector<std::string>& declared);

[[nodiscard]] std::int64_t bytes_of(const std::vector<OutputFile>& files);
/// The distinct names, sorted.
[[nodiscard]] std::vector<std::string> chunks_of(const std::vector<OutputFile>& files);

}  // namespace fallow::accounts
