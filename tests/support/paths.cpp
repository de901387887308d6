#include "support/paths.hpp"

namespace fallow::testing {

std::string source_dir() {
    return FALLOW_SOURCE_DIR;
}

std::string bin_dir() {
    return FALLOW_BIN_DIR;
}

}  // namespace fallow::testing
