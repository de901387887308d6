// `fallow job run`: from files on this machine to files on this machine, through somebody's card.
#pragma once

#include <string>

#include "demand.hpp"

namespace fallow::cli {

struct RunArguments {
    DemandArguments demand;
    JobArguments job;
    std::string lease_id;  ///< run on this lease instead of placing an order
    std::string folder = ".";
    bool detach = false;
};

void run_job(Context& context, const RunArguments& arguments);

/// Prints the log of a job until it ends, over all its attempts. What the job wrote to stdout goes to
/// stdout and what it wrote to stderr to stderr, unchanged; with JSON output all of it goes to stderr when
/// `log_is_data` is false, and one entry a line to stdout when it is true.
Job follow_job(Context& context, const std::string& job_id, bool log_is_data);

/// Writes the outputs of the job's last attempt that has any below the folder; `only` names those wanted,
/// all if it is empty. Returns the files.
std::vector<std::string> download_outputs(Context& context, const std::string& job_id,
                                          const std::string& folder, const std::vector<std::string>& only);

/// An entry of a log as it was written.
void print_log_entry(const LogEntry& entry, bool all_to_stderr);

}  // namespace fallow::cli
