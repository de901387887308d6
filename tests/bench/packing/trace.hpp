// The openb CSV files of Alibaba's cluster-trace-gpu-v2023, as hosts and tasks.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "market/placement/room.hpp"

namespace fallow::bench {

namespace placement = market::placement;

/// A host with every card free, in the order of the names.
using Hosts = std::vector<placement::Room>;

struct Trace {
    Hosts hosts;
    std::map<std::string, placement::Kind> kinds;
    std::int64_t capacity = 0;  ///< thousandths
};

struct Workload {
    std::string name;
    std::vector<placement::Task> classes;  ///< the distinct tasks
    std::vector<std::size_t> tasks;        ///< in the order of the names, each its class
};

[[nodiscard]] Trace read_hosts(const std::string& path);
[[nodiscard]] Workload read_tasks(const std::string& path, const Trace& trace);

/// The trace with its hosts repeated in turn until there are `count`.
[[nodiscard]] Trace repeated(const Trace& trace, std::size_t count);

/// The protocol of Weng et al. (USENIX ATC 2023): all tasks in an order of the seed, then random ones
/// again, until they ask for `load` percent of the capacity.
[[nodiscard]] std::vector<std::size_t> arrivals(const Workload& workload, std::int64_t capacity,
                                                std::int64_t load, std::uint64_t seed);

}  // namespace fallow::bench
