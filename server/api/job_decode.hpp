// JobSpec: what runs in the container. Checked here and carried on as one JSON document that the market
// does not read.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/field_decode.hpp"
#include "base/enum.hpp"
#include "market/commands.hpp"

namespace fallow::api {

struct JobInput {
    std::string path;
    ArtifactId artifact;
};

/// A folder below /work/out that is saved while the job runs, and restored for its next attempt.
struct CheckpointSpec {
    std::string path;
    Millis interval;
    std::int64_t bytes_max = 0;
};

/// A command that is run in the container, again and again: so many failures in a row, and the job is
/// ended.
struct HealthSpec {
    std::vector<std::string> command;
    Millis interval;
    Millis timeout;
    Millis start_period;  ///< in which a failure does not count
    std::int32_t retries = 0;
};

/// The job is ended when it has used less than so much of its cards, or of its cores, for so long.
struct IdleSpec {
    std::int32_t below_percent = 0;
    Millis duration;
};

/// After which of its own ends the container is started again, in the same lease.
struct RestartSpec {
    std::optional<std::vector<std::int64_t>> exit_codes;  ///< none: all but 0, and not out of memory
    std::int32_t restarts_max = 0;
    Millis delay;  ///< before the first; it doubles with each
};

/// What the job's containers reach beside what every guest does: gang, each other.
FALLOW_ENUM(JobNetwork, gang)

struct JobSpec {
    std::string image;
    std::vector<std::string> command;
    std::vector<std::pair<std::string, std::string>> env;
    std::vector<JobInput> inputs;
    std::vector<std::string> outputs;
    Millis max_duration;
    std::int32_t attempts_max = 1;
    std::int64_t memory_bytes = 0;
    std::int64_t cpu_millis = 0;
    std::int64_t pids_max = 0;
    std::int64_t disk_bytes = 0;
    std::optional<CheckpointSpec> checkpoint;
    std::vector<std::string> secrets;            ///< names
    std::optional<Millis> output_interval;       ///< how often outputs are saved while the job runs
    std::optional<std::int64_t> shm_bytes;       ///< of /dev/shm
    std::optional<Millis> pull_timeout;          ///< to have the image
    std::optional<Millis> start_timeout;         ///< from then to the start
    std::vector<std::int64_t> retry_exit_codes;  ///< tried again while attempts are left
    std::optional<HealthSpec> health;
    std::optional<IdleSpec> idle;
    std::optional<std::string> registry_secret;  ///< the name of what the image is pulled with
    std::optional<JobNetwork> network;
    std::optional<RestartSpec> restart;
};

/// Reads the fields of a JobSpec and finishes the reader's object; errors stay in the reader.
[[nodiscard]] JobSpec read_job_spec(FieldReader& reader);

/// The canonical document: every field, defaults written out.
[[nodiscard]] std::string job_spec_json(const JobSpec& spec);

[[nodiscard]] market::JobRequest job_request(const JobSpec& spec);

/// A whole body that is a JobSpec.
[[nodiscard]] Result<JobSpec> decode_job_spec(std::string_view body);

[[nodiscard]] std::vector<ArtifactId> artifacts_of(const JobSpec& spec);

}  // namespace fallow::api
