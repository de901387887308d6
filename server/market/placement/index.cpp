#include "market/placement/index.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace fallow::market::placement {
namespace {

constexpr std::uint64_t renew_every = 4096;
constexpr std::size_t log_slack = 1024;
// A class keeps a sixteenth of the groups as candidates, or so many.
constexpr std::size_t kept_min = 64;
constexpr std::size_t kept_share = 16;
// How far ahead the lines of what has changed are fetched.
constexpr std::size_t fetched_ahead = 8;

constexpr auto precedes = [](const auto& left, const auto& right) { return left.precedes(right); };
constexpr auto follows = [](const auto& left, const auto& right) { return right.precedes(left); };

/// Steps above, what remains in the lower half: compares like `Cost`.
constexpr int remains_bits = 32;
constexpr std::int64_t pack(const Cost& cost) {
    return cost.step * (std::int64_t{1} << remains_bits) + cost.remains;
}
constexpr Cost unpack(std::int64_t packed) {
    return {packed >> remains_bits, packed & ((std::int64_t{1} << remains_bits) - 1)};
}

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

Cost cost_of(const Worth& worth, const Room& room, const Task& task, std::int32_t from) {
    return cost(worth.total_weight(), room.thousandths(), worth.of(room), worth.of(taken(room, task, from)),
                task);
}

Index::GroupId Index::group_for(const Room& room) {
    const auto [at, is_new] = by_room_.try_emplace(room, 0);
    if (!is_new) return at->second;
    auto id = static_cast<GroupId>(groups_.size());
    if (unused_.empty()) {
        groups_.emplace_back();
        lines_.emplace_back();
        lowest_.emplace_back();
    } else {
        id = unused_.back();
        unused_.pop_back();
    }
    at->second = id;
    groups_[id].room = room;
    Line& line = lines_[id];
    line.cpu_milli = room.cpu_milli;
    line.memory = room.memory;
    line.worth_version = 0;
    line.kind = room.kind;
    line.free = static_cast<std::int32_t>(room.thousandths());
    line.whole_cards = room.whole_cards;
    line.parts_count = static_cast<std::int32_t>(room.parts.size());
    if (room.parts.size() <= parts_in_line)
        std::copy(room.parts.begin(), room.parts.end(), line.parts.begin());
    return id;
}

RoomView Index::view(GroupId id) const {
    const Line& line = lines_[id];
    const auto parts = static_cast<std::size_t>(line.parts_count);
    RoomView found;
    found.kind = line.kind;
    found.cpu_milli = line.cpu_milli;
    found.memory = line.memory;
    found.whole_cards = line.whole_cards;
    found.parts =
        parts <= parts_in_line ? std::span(line.parts).first(parts) : std::span(groups_[id].room.parts);
    return found;
}

/// Lets the classes look at the group again.
void Index::tell(GroupId id) {
    // A class that has not read so much starts anew from the live groups, which are fewer.
    if (log_.size() > 2 * groups() + log_slack) {
        log_start_ += log_.size();
        log_.clear();
    }
    log_.push_back({id, lines_[id].generation});
}

void Index::join(GroupId id, RawId host) {
    std::set<RawId>& hosts = groups_[id].hosts;
    // Behind the lowest host of its group, another one changes no choice.
    if (hosts.empty() || host < lowest_[id]) {
        lowest_[id] = host;
        tell(id);
    }
    hosts.insert(host);
}

void Index::leave(GroupId id, RawId host) {
    Group& group = groups_[id];
    group.hosts.erase(host);
    if (!group.hosts.empty()) {
        lowest_[id] = *group.hosts.begin();
        return;
    }
    by_room_.erase(group.room);
    ++lines_[id].generation;
    lines_[id].cpu_milli = Line::nothing;
    unused_.push_back(id);
}

void Index::set(RawId host, const Room& room) {
    const auto [at, is_new] = group_of_.try_emplace(host, 0);
    if (!is_new) {
        if (groups_[at->second].room == room) return;
        leave(at->second, host);
    }
    at->second = group_for(room);
    join(at->second, host);
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
    renew_at_ =
        learnt_ < renew_every ? 2 * learnt_ : learnt_ + std::max<std::uint64_t>(renew_every, 4 * groups());
    renew();
}

void Index::renew() {
    Supply supply;
    for (std::size_t id = 0; id < groups_.size(); ++id)
        if (const std::size_t hosts = groups_[id].hosts.size(); hosts > 0)
            supply.add(lines_[id].kind, lines_[id].free * static_cast<std::int64_t>(hosts));
    worth_ = Worth(weighed(demand_.expected(), supply));
    ++worth_version_;
}

std::optional<Index::Candidate> Index::consider(const Class& of, const Task& task, GroupId id) {
    const RoomView room = view(id);
    if (!fits(room, task)) return std::nullopt;
    Line& line = lines_[id];
    if (line.worth_version != worth_version_) {
        line.usable = worth_.of(room);
        line.worth_version = worth_version_;
    }
    const std::int64_t after = worth_.after(room, task).usable;
    Candidate found;
    found.cost = pack(cost(worth_.total_weight(), line.free, line.usable, after, task));
    if (of.cut && found.cost > of.cut->cost) return std::nullopt;
    found.host = lowest_[id];
    found.group = id;
    found.generation = line.generation;
    return of.cut && of.cut->precedes(found) ? std::nullopt : std::optional(found);
}

/// Keeps the cheaper part of the groups only: what is dear is seldom chosen, and would be valued again and
/// again for nothing.
void Index::rebuild(Class& of, const Task& task) {
    const std::size_t kept = std::max(kept_min, groups() / kept_share);
    const auto keep = [&] {
        if (fitting_.size() <= kept) return;
        const auto last = fitting_.begin() + static_cast<std::ptrdiff_t>(kept - 1);
        std::nth_element(fitting_.begin(), last, fitting_.end(), precedes);
        of.cut = *last;
        fitting_.resize(kept);
    };
    fitting_.clear();
    of.cut.reset();
    for (GroupId id = 0; id < lines_.size(); ++id) {
        if (const auto found = consider(of, task, id)) fitting_.push_back(*found);
        if (fitting_.size() == 2 * kept) keep();
    }
    keep();
    of.heap = fitting_;
    std::make_heap(of.heap.begin(), of.heap.end(), follows);
    of.worth_version = worth_version_;
    of.read = log_start_ + log_.size();
}

void Index::refresh(Class& of, const Task& task) {
    if (of.worth_version != worth_version_ || of.read < log_start_ ||
        of.heap.size() > 4 * groups() + log_slack) {
        rebuild(of, task);
        return;
    }
    for (auto i = static_cast<std::size_t>(of.read - log_start_); i < log_.size(); ++i) {
        if (i + fetched_ahead < log_.size()) __builtin_prefetch(&lines_[log_[i + fetched_ahead].group]);
        if (!is_live(log_[i].group, log_[i].generation)) continue;
        const auto found = consider(of, task, log_[i].group);
        if (!found) continue;
        of.heap.push_back(*found);
        std::push_heap(of.heap.begin(), of.heap.end(), follows);
    }
    of.read = log_start_ + log_.size();
}

/// The first of the live candidates, which stays in the heap.
std::optional<Index::Candidate> Index::cheapest(Class& of) const {
    while (!of.heap.empty()) {
        Candidate top = of.heap.front();
        const bool live = is_live(top.group, top.generation);
        const RawId lowest = lowest_[top.group];
        if (live && top.host == lowest) return top;
        std::pop_heap(of.heap.begin(), of.heap.end(), follows);
        of.heap.pop_back();
        // Its lowest host is gone: it comes later now. (A lower one has another candidate, told by `join`.)
        if (!live || lowest < top.host) continue;
        top.host = lowest;
        if (of.cut && of.cut->precedes(top)) continue;
        of.heap.push_back(top);
        std::push_heap(of.heap.begin(), of.heap.end(), follows);
    }
    return std::nullopt;
}

std::optional<Choice> Index::choose(const Task& task) {
    auto at = classes_.find(task);
    if (at == classes_.end()) {
        if (classes_.size() >= classes_kept_max) classes_.clear();
        at = classes_.try_emplace(task).first;
    }
    Class& of = at->second;
    refresh(of, task);
    auto best = cheapest(of);
    if (!best && of.cut) {
        rebuild(of, task);
        best = cheapest(of);
    }
    if (!best) return std::nullopt;
    return Choice{best->host, worth_.after(view(best->group), task).from, unpack(best->cost)};
}

}  // namespace fallow::market::placement
