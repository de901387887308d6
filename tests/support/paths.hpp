// Where the tests find what is not compiled into them. Functions, so that a compiler cache serves every
// clone.
#pragma once

#include <string>

namespace fallow::testing {

/// The repository's top folder.
[[nodiscard]] std::string source_dir();
/// Where this build puts its programs.
[[nodiscard]] std::string bin_dir();

}  // namespace fallow::testing
