// The exact text of a usage statement (fallow-usage-v2). Both sides sign and verify these octets.
#pragma once

#include <string>

#include "agent/lease.hpp"

namespace fallow::agent {

/// For `record`'s next sequence and its last nonce, with the traffic that it knows of.
[[nodiscard]] std::string usage_statement(const LeaseRecord& record, std::int64_t running_ms,
                                          bool is_final);

}  // namespace fallow::agent
