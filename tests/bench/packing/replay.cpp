#include "bench/packing/replay.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "market/placement/index.hpp"

namespace fallow::bench {
namespace {

using Clock = std::chrono::steady_clock;
using placement::Task;
using placement::whole_card;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<Host> empty_hosts(const Trace& trace) {
    std::vector<Host> hosts;
    for (const placement::Room& room : trace.hosts)
        hosts.push_back({room, room,
                         std::vector<std::int32_t>(static_cast<std::size_t>(room.whole_cards), whole_card),
                         std::vector<std::size_t>(cards_classes), 1});
    return hosts;
}

void take(Host& host, const Task& task, std::int32_t card) {
    if (!fits(host.room, task)) throw std::logic_error("a policy chose a host that the task does not fit");
    std::int32_t from = whole_card;
    if (task.is_share()) {
        std::int32_t& free = host.cards.at(static_cast<std::size_t>(card));
        from = free;
        if (free < task.thousandths) throw std::logic_error("a policy gave more of a card than is free");
        free -= task.thousandths;
    } else {
        std::int32_t wanted = task.cards;
        for (std::int32_t& free : host.cards)
            if (wanted > 0 && free == whole_card) free = 0, --wanted;
    }
    host.room = taken(host.room, task, from);
    ++host.of_class[cards_class(task)];
    ++host.version;
}

struct Run {
    std::size_t decisions = 0;
    double seconds = 0;
};

Run fill(const Workload& workload, const Trace& many, std::uint64_t seed) {
    const std::vector<std::size_t> order = arrivals(workload, many.capacity, 100, seed);
    placement::Index index;
    for (std::size_t i = 0; i < many.hosts.size(); ++i)
        index.set(RawId{0, i}, many.hosts[i]);
    std::int64_t arrived = 0;
    Run run;
    const auto start = Clock::now();
    for (const std::size_t of : order) {
        if (arrived >= many.capacity) break;
        const Task& task = workload.classes[of];
        arrived += task.asked();
        index.learn(task);
        ++run.decisions;
        if (const auto choice = index.choose(task))
            index.set(choice->host, taken(index.room_of(choice->host), task, choice->from));
    }
    run.seconds = seconds_since(start);
    return run;
}

}  // namespace

Packed replay(const PolicyName& policy, const Workload& workload, const Trace& trace, std::uint64_t seed) {
    const std::vector<std::size_t> order = arrivals(workload, trace.capacity, 130, seed);
    std::vector<Host> hosts = empty_hosts(trace);
    const auto decide = policy.make({workload, hosts, seed});
    Packed packed;
    std::int64_t arrived = 0;
    std::int64_t allocated = 0;
    const auto percent = [&] {
        return 100.0 * static_cast<double>(allocated) / static_cast<double>(trace.capacity);
    };
    bool full = false;
    for (const std::size_t of : order) {
        const Task& task = workload.classes[of];
        auto start = Clock::now();
        const auto place = decide->place(of);
        packed.seconds += seconds_since(start);
        if (place) {
            take(hosts.at(place->host), task, place->card);
            allocated += task.asked();
            start = Clock::now();
            decide->changed(place->host);
            packed.seconds += seconds_since(start);
        }
        arrived += task.asked();
        if (!full && arrived >= trace.capacity) {
            packed.alloc_100 = percent();
            full = true;
        }
    }
    packed.decisions = order.size();
    packed.alloc_130 = percent();
    return packed;
}

Scaling scaling(const Workload& workload, const Trace& trace, std::size_t count,
                std::size_t decisions_min) {
    const Trace many = repeated(trace, count);
    Scaling result{count, 0, 0};
    std::vector<double> micros;
    while (result.decisions < decisions_min) {
        const Run run = fill(workload, many, micros.size());
        result.decisions += run.decisions;
        micros.push_back(run.seconds * 1e6 / static_cast<double>(run.decisions));
    }
    const auto middle = micros.begin() + static_cast<std::ptrdiff_t>(micros.size() / 2);
    std::nth_element(micros.begin(), middle, micros.end());
    result.micros_per_decision = *middle;
    return result;
}

}  // namespace fallow::bench
