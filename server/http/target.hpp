// The request target in origin form: path and query, decoded once and refused where two readers could
// differ.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::http {

struct Target {
    std::string path;
    Fields query;
};

/// Refuses with bad_request: other forms than "/path?query", characters outside RFC 3986, malformed
/// escapes, escaped controls and slashes, text that is not UTF-8, empty segments and dot segments (escaped
/// ones too).
[[nodiscard]] Result<Target> parse_target(std::string_view target);

}  // namespace fallow::http
