// What a job can ask for besides its command and files, and the secrets that it can name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::sdk {

/// A command that is run in the container again and again: so many failures in a row, and the job is ended.
struct HealthSpec {
    std::vector<std::string> command;
    std::optional<std::int64_t> interval_ms;
    std::optional<std::int64_t> timeout_ms;
    std::optional<std::int64_t> start_period_ms;  ///< in which a failure does not count
    std::optional<std::int64_t> retries;
};

/// The job is ended when it has used less than so much of its cards, or of its cores, for so long.
struct IdleSpec {
    std::int64_t below_percent = 0;
    std::int64_t for_ms = 0;
};

/// What a job's host moves for it now.
struct JobProgress {
    std::string step;  ///< pulling_image, fetching_inputs, restoring_checkpoint, uploading_outputs
    std::int64_t done_bytes = 0;
    std::optional<std::int64_t> total_bytes;  ///< absent while it is not known
    std::string at;                           ///< when the host told it
};

/// A secret of the organization. Nothing tells its value again.
struct Secret {
    std::string id;
    std::string organization_id;
    std::string name;
    std::int64_t version = 0;
    std::string created_at;
    std::string updated_at;
};

struct NewSecret {
    std::string value;  ///< base64
};

/// Signs a browser in at the name of a port of a job, for a minute from when it was made.
struct AppLink {
    std::string url;
    std::string expires_at;
};

}  // namespace fallow::sdk
