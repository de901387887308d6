#include "market/placement/index.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace fallow::market::placement {
namespace {

constexpr std::uint64_t renew_every = 4096;
constexpr std::size_t log_slack = 1024;
// A class keeps an eighth of the groups as candidates, or so many.
constexpr std::size_t kept_min = 64;
constexpr std::size_t kept_share = 8;

constexpr auto dearer = [](const auto& left, const auto& right) { return left.cost > right.cost; };

constexpr std::int64_t ceil_div(std::int64_t value, std::int64_t by) {
    return value >= 0 ? (value + by - 1) / by : -(-value / by);
}

Cost cost(std::int64_t weight, std::int64_t free, std::int64_t usable, std::int64_t usable_after,
          const Task& task) {
    const std::int64_t asked = task.asked();
    const std::int64_t total = std::max<std::int64_t>(1, weight);
    const std::int64_t added = usable - usable_after - asked * total;
    return {ceil_div(added, step_thousandths * total), free - asked};
}

}  // namespace

Cost cost_of(const Worth& worth, const Room& room, const Task& task) {
    return cost(worth.total_weight(), room.thousandths(), worth.of(room), worth.after(room, task).usable,
                task);
}

Index::GroupId Index::group_for(const Room& room) {
    const auto [at, is_new] = by_room_.try_emplace(room, 0);
    if (!is_new) return at->second;
    auto id = static_cast<GroupId>(groups_.size());
    if (unused_.empty()) {
        groups_.emplace_back();
    } else {
        id = unused_.back();
        unused_.pop_back();
    }
    Group& group = groups_[id];
    group.room = room;
    group.free = room.thousandths();
    group.worth_version = 0;
    group.live_at = static_cast<std::uint32_t>(live_.size());
    live_.push_back(id);
    at->second = id;
    // A class that has not read so much starts anew from the live groups, which are fewer.
    if (log_.size() > 2 * live_.size() + log_slack) {
        log_start_ += log_.size();
        log_.clear();
    }
    log_.push_back({id, group.generation});
    return id;
}

void Index::leave(GroupId id, RawId host) {
    Group& group = groups_[id];
    group.hosts.erase(host);
    if (!group.hosts.empty()) return;
    by_room_.erase(group.room);
    ++group.generation;
    live_[group.live_at] = live_.back();
    groups_[live_.back()].live_at = group.live_at;
    live_.pop_back();
    unused_.push_back(id);
}

void Index::set(RawId host, const Room& room) {
    const auto [at, is_new] = group_of_.try_emplace(host, 0);
    if (!is_new) {
        if (groups_[at->second].room == room) return;
        leave(at->second, host);
    }
    at->second = group_for(room);
    groups_[at->second].hosts.insert(host);
}

void Index::remove(RawId host) {
    const auto at = group_of_.find(host);
    if (at == group_of_.end()) return;
    leave(at->second, host);
    group_of_.erase(at);
}

void Index::learn(const Task& task) {
    demand_.add(task);
    if (++learnt_ < renew_at_) return;
    renew_at_ = learnt_ < renew_every ? 2 * learnt_
                                      : learnt_ + std::max<std::uint64_t>(renew_every, 4 * live_.size());
    renew();
}

void Index::renew() {
    Supply supply;
    for (const GroupId id : live_)
        supply.add(groups_[id].room.kind,
                   groups_[id].free * static_cast<std::int64_t>(groups_[id].hosts.size()));
    worth_ = Worth(weighed(demand_.expected(), supply));
    ++worth_version_;
}

bool Index::consider(Class& of, const Task& task, GroupId id) {
    Group& group = groups_[id];
    if (!fits(group.room, task)) return false;
    if (group.worth_version != worth_version_) {
        group.usable = worth_.of(group.room);
        group.worth_version = worth_version_;
    }
    const std::int64_t after = worth_.after(group.room, task).usable;
    const Cost found = cost(worth_.total_weight(), group.free, group.usable, after, task);
    if (of.cut && found > *of.cut) return false;
    of.heap.push_back({found, id, group.generation});
    return true;
}

/// Keeps the cheaper part of the groups only: what is dear is seldom chosen, and would be valued again and
/// again for nothing.
void Index::rebuild(Class& of, const Task& task) {
    of.heap.clear();
    of.cut.reset();
    for (const GroupId id : live_)
        consider(of, task, id);
    const std::size_t kept = std::max(kept_min, live_.size() / kept_share);
    if (of.heap.size() > kept) {
        const auto last = of.heap.begin() + static_cast<std::ptrdiff_t>(kept - 1);
        std::nth_element(
            of.heap.begin(), last, of.heap.end(),
            [](const Candidate& left, const Candidate& right) { return left.cost < right.cost; });
        of.cut = last->cost;
        std::erase_if(of.heap, [&](const Candidate& each) { return each.cost > *of.cut; });
    }
    std::make_heap(of.heap.begin(), of.heap.end(), dearer);
    of.worth_version = worth_version_;
    of.read = log_start_ + log_.size();
}

void Index::refresh(Class& of, const Task& task) {
    if (of.worth_version != worth_version_ || of.read < log_start_ ||
        of.heap.size() > 4 * live_.size() + log_slack) {
        rebuild(of, task);
        return;
    }
    for (auto i = static_cast<std::size_t>(of.read - log_start_); i < log_.size(); ++i)
        if (is_live(log_[i].group, log_[i].generation) && consider(of, task, log_[i].group))
            std::push_heap(of.heap.begin(), of.heap.end(), dearer);
    of.read = log_start_ + log_.size();
}

/// The live candidates of the least cost, taken out.
std::vector<Index::Candidate> Index::pop_cheapest(Class& of) const {
    std::vector<Candidate> equals;
    while (!of.heap.empty()) {
        const Candidate top = of.heap.front();
        const bool live = is_live(top.group, top.generation);
        if (live && !equals.empty() && equals.front().cost != top.cost) break;
        std::pop_heap(of.heap.begin(), of.heap.end(), dearer);
        of.heap.pop_back();
        if (live) equals.push_back(top);
    }
    return equals;
}

std::optional<Choice> Index::choose(const Task& task) {
    auto at = classes_.find(task);
    if (at == classes_.end()) {
        if (classes_.size() >= classes_kept_max) classes_.clear();
        at = classes_.try_emplace(task).first;
    }
    Class& of = at->second;
    refresh(of, task);
    std::vector<Candidate> equals = pop_cheapest(of);
    if (equals.empty() && of.cut) {
        rebuild(of, task);
        equals = pop_cheapest(of);
    }
    if (equals.empty()) return std::nullopt;
    const auto lowest_host = [&](const Candidate& each) { return *groups_[each.group].hosts.begin(); };
    const Candidate* best = &equals.front();
    for (const Candidate& each : equals) {
        if (lowest_host(each) < lowest_host(*best)) best = &each;
        of.heap.push_back(each);
        std::push_heap(of.heap.begin(), of.heap.end(), dearer);
    }
    return Choice{lowest_host(*best), worth_.after(groups_[best->group].room, task).from, best->cost};
}

}  // namespace fallow::market::placement
