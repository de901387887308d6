// Moments as text, in the direction that base/time.hpp does not need.
#pragma once

#include <optional>
#include <string_view>

#include "base/time.hpp"

namespace fallow::api {

/// RFC 3339 with any offset and up to nine digits of a second's fraction (the part below a millisecond is
/// cut). Nothing for a leap second, a day that does not exist, or a year before 1970.
[[nodiscard]] std::optional<Time> parse_rfc3339(std::string_view text);

}  // namespace fallow::api
