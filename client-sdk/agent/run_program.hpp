// A program of the host's, run to its end.
#pragma once

#include <string>
#include <vector>

namespace fallow::agent {

/// Gives it `input` and waits. It runs in the namespaces of the calling thread. Throws std::runtime_error,
/// with the beginning of what it said, unless it ends with 0.
void run_program(std::vector<std::string> words, const std::string& input = {});

/// The same, and what it wrote to its standard output; more than 64 MiB is an error.
[[nodiscard]] std::string ask_program(std::vector<std::string> words);

}  // namespace fallow::agent
