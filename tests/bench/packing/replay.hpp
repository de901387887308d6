// One replay of the packing protocol with one policy, and the cost of a decision by the number of hosts.
#pragma once

#include "bench/packing/policies.hpp"

namespace fallow::bench {

struct Packed {
    double alloc_100 = 0;  ///< percent of the capacity in use when 100 % of it has been asked for
    double alloc_130 = 0;
    std::size_t decisions = 0;
    double seconds = 0;  ///< in the policy, the harness's own book left out
};

/// Throws std::logic_error if a policy takes what a host does not have.
[[nodiscard]] Packed replay(const PolicyName& policy, const Workload& workload, const Trace& trace,
                            std::uint64_t seed);

struct Scaling {
    std::size_t hosts = 0;
    std::size_t decisions = 0;  ///< in all runs
    double micros_per_decision = 0;
};

/// Fills `count` hosts up to 100 % of arrived load with the server's own module, learning, choosing and
/// taking included, in as many orders of arrival as make `decisions_min` decisions. The median run counts.
[[nodiscard]] Scaling scaling(const Workload& workload, const Trace& trace, std::size_t count,
                              std::size_t decisions_min);

}  // namespace fallow::bench
