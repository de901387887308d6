// Other workloads than those of a trace, made from one, so that placement is not only as good as the traces
// that it was built on.
#pragma once

#include "bench/packing/trace.hpp"

namespace fallow::bench {

/// As many tasks as `workload` has, drawn from it with replacement, the same for the same seed. The seed
/// picks: how often tasks without a card, with a share, with one card and with several are drawn (half as
/// often as in the workload, as often, or twice); what every task's processor demand is multiplied by (3/4,
/// 1 or 5/4); and whether none, half or all of the tasks keep their list of models. Each share is a fifth
/// smaller, the same, or a fifth larger, in hundredths of a card. Nothing here knows of a policy.
[[nodiscard]] Workload derived(const Workload& workload, std::uint64_t seed);

}  // namespace fallow::bench
