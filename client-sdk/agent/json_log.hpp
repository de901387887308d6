// The agent's log: one JSON object a line on standard error.
#pragma once

#include <string>
#include <string_view>

namespace fallow::agent {

void log_as_json_lines(const std::string& level);

/// `text` as the inside of a JSON string. Octets that are not ASCII or would break a line become \u00XX, so
/// that a message with a guest's words in it stays one line of valid JSON.
[[nodiscard]] std::string json_escaped(std::string_view text);

}  // namespace fallow::agent
