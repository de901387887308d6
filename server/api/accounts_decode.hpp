// Bodies of the routes for keys and artifacts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::api {

struct NewKey {
    std::string name;
    std::vector<std::string> scopes;  ///< known ones, each once, in auth's order
    std::optional<Millis> expires_in;
};
[[nodiscard]] Result<NewKey> decode_new_key(std::string_view body);

struct NewArtifact {
    std::string name;  ///< for an output, its path
    std::int64_t bytes = 0;
    std::string sha256;
};
[[nodiscard]] Result<NewArtifact> decode_artifact(std::string_view body);
/// An agent's output: {path, bytes, sha256}.
[[nodiscard]] Result<NewArtifact> decode_output(std::string_view body);

/// A body that must be {} or nothing.
[[nodiscard]] Status decode_nothing(std::string_view body);

}  // namespace fallow::api
