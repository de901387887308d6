// The usage statement's text, exactly as an agent signs it:
//
//   fallow-usage-v2\n
//   lease: lease_…\n  epoch: 12\n  container: <id>\n  boot: <id>\n  nonce: <32 hex digits>\n
//   sequence: 3\n  running_ms: 123456\n  egress_bytes: 1048576\n  final: false\n
//
// An older agent writes fallow-usage-v1, which lacks the line egress_bytes.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "market/commands.hpp"

namespace fallow::api {

/// Strict: these lines, in this order, with nothing else, numbers without sign or leading zero.
/// invalid_field at
/// "/statement" names the first line that is wrong. `signature` stays empty.
[[nodiscard]] Result<market::ReportUsage> parse_usage_statement(std::string_view text);

}  // namespace fallow::api
