// What is saved of a job, as data. A part of types.hpp, which says how to read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::sdk {

/// A folder below /work/out that is saved while the job runs; its next attempt goes on from there.
struct CheckpointSpec {
    std::string path;
    std::optional<std::int64_t> interval_ms;
    std::optional<std::int64_t> bytes_max;  ///< of all files together
};

/// What a job's checkpoint folder held at one moment. The newest is the first of a list.
struct Checkpoint {
    std::int64_t number = 0;  ///< rises within a job
    std::int64_t attempt = 0;
    std::string lease_id;
    std::int64_t lease_epoch = 0;
    std::int64_t bytes = 0;
    std::int64_t entry_count = 0;
    std::string created_at;
};

struct CheckpointEntry {
    std::string path;
    std::string kind;  ///< file, folder, link
    std::optional<std::int64_t> mode;
    std::optional<std::int64_t> bytes;
    std::optional<std::string> modified_at;
    std::optional<std::string> target;  ///< of a link
    std::vector<std::string> chunks;    ///< SHA-256 of each 1 MiB of a file
};

/// Why the folder could not be saved last.
struct CheckpointProblem {
    std::string text;
    std::string at;
};

struct CheckpointList {
    std::vector<Checkpoint> items;
    std::optional<CheckpointProblem> problem;
};

/// One with all that it holds.
struct CheckpointContent {
    std::int64_t number = 0;
    std::vector<CheckpointEntry> entries;
};

}  // namespace fallow::sdk
