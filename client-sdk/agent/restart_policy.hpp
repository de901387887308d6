// Whether a container that has ended by itself is started again in the same lease, as its job asks. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "agent/lease.hpp"

namespace fallow::agent {

/// What the doubled delay does not exceed.
inline constexpr std::int64_t restart_delay_ms_max = 300'000;

/// How long from that end to the next start; nothing when the lease ends with it. Out of memory counts as
/// one of the job's codes only where it is named.
[[nodiscard]] std::optional<std::int64_t> restart_delay_ms(const LeaseRecord& record,
                                                           const ContainerExit& exit);

}  // namespace fallow::agent
