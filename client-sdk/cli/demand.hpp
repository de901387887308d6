// What a renter asks for: the flags that `order place` and `job run` share, and the description of a job.
#pragma once

#include <fallow/types.hpp>
#include <string>
#include <vector>

#include "options.hpp"

namespace fallow::cli {

struct DemandArguments {
    NewOrder order;
    std::optional<std::int64_t> price_max_micros;
    std::optional<std::int64_t> term_ms;
    bool spot = false;
    std::string quote_file;
};
/// The options, the ones in the first place of which a plain order cannot do without.
struct DemandOptions {
    CLI::Option* price_max;
    CLI::Option* term;
};
/// What a quote and an order have in common.
DemandOptions add_requirement_options(CLI::App& command, DemandArguments& arguments);
/// --quote, in the place of the price limit among `options`.
void add_quote_option(CLI::App& command, DemandArguments& arguments, const DemandOptions& options);
DemandOptions add_demand_options(CLI::App& command, DemandArguments& arguments);
[[nodiscard]] NewOrder order_of(const DemandArguments& arguments);

/// A file of this machine and its place below /work/in.
struct LocalInput {
    std::string file;
    std::string path;
};

struct JobArguments {
    JobSpec spec;
    CheckpointSpec checkpoint;
    std::vector<std::string> env;     ///< "NAME=VALUE"
    std::string env_file;             ///< such lines
    std::vector<std::string> inputs;  ///< "FILE[:PATH]"
    std::optional<std::int64_t> max_duration_ms;
    std::optional<std::int64_t> retries;
    std::string retry_on;  ///< "75,137"
    std::optional<std::int64_t> restarts;
    std::string restart_on;  ///< "75,137"
    std::optional<std::int64_t> restart_delay_ms;
    std::string health_command;  ///< for sh -c
    HealthSpec health;
    std::optional<std::int64_t> idle_percent;
    std::optional<std::int64_t> idle_ms;
};
void add_job_options(CLI::App& command, JobArguments& arguments);
/// Everything but the inputs, which are artifacts only after their upload. UsageError for what cannot be
/// read.
[[nodiscard]] JobSpec job_of(const JobArguments& arguments, std::optional<std::int64_t> term_ms);
[[nodiscard]] std::vector<LocalInput> inputs_of(const JobArguments& arguments);

}  // namespace fallow::cli
