#include "bench/packing/derive.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <unordered_map>

namespace fallow::bench {
namespace {

using placement::Task;
using Random = std::mt19937_64;

constexpr std::size_t groups = 4;

std::size_t group_of(const Task& task) {
    if (task.cards == 0) return 0;
    if (task.is_share()) return 1;
    return task.cards == 1 ? 2 : 3;
}

/// One of three.
std::int64_t pick(Random& random, const std::array<std::int64_t, 3>& values) {
    return values[random() % values.size()];
}

struct Mix {
    std::array<std::int64_t, groups> draws{};  ///< out of four, that a task which was drawn is taken
    std::int64_t cpu_quarters = 4;
    std::int64_t keeps_models_percent = 100;

    explicit Mix(Random& random) {
        for (std::int64_t& each : draws)
            each = pick(random, {1, 2, 4});
        cpu_quarters = pick(random, {3, 4, 5});
        keeps_models_percent = pick(random, {0, 50, 100});
    }
};

Task changed(Task task, const Mix& mix, Random& random) {
    task.cpu_milli = task.cpu_milli * mix.cpu_quarters / 4;
    if (static_cast<std::int64_t>(random() % 100) >= mix.keeps_models_percent) task.kinds.clear();
    if (task.is_share()) {
        const std::int64_t share = task.thousandths * pick(random, {4, 5, 6}) / 5 / 10 * 10;
        task.thousandths = static_cast<std::int32_t>(std::clamp<std::int64_t>(share, 10, 990));
    }
    return task;
}

}  // namespace

Workload derived(const Workload& workload, std::uint64_t seed) {
    Random random(seed);
    const Mix mix(random);
    Workload made;
    made.name = workload.name + "~" + std::to_string(seed);
    std::unordered_map<Task, std::size_t, placement::TaskHash> known;
    while (made.tasks.size() < workload.tasks.size()) {
        const Task& drawn = workload.classes[workload.tasks[random() % workload.tasks.size()]];
        if (static_cast<std::int64_t>(random() % 4) >= mix.draws[group_of(drawn)]) continue;
        Task task = changed(drawn, mix, random);
        const auto [at, is_new] = known.try_emplace(task, made.classes.size());
        if (is_new) made.classes.push_back(std::move(task));
        made.tasks.push_back(at->second);
    }
    return made;
}

}  // namespace fallow::bench
