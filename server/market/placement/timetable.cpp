#include "market/placement/timetable.hpp"

#include <algorithm>
#include <iterator>

#include "base/assert.hpp"

namespace fallow::market::placement {

Time Timetable::earliest(Time from, std::int64_t cards, Millis term) const {
    FALLOW_ASSERT(cards <= cards_);
    auto step = std::prev(free_.upper_bound(std::max(from, free_.begin()->first)));
    Time start = std::max(from, step->first);
    for (; step != free_.end(); ++step) {
        if (step->first >= start + term) return start;
        if (step->second >= cards) continue;
        // Too few in this stretch: nothing that overlaps it will do.
        const auto next = std::next(step);
        FALLOW_ASSERT(next != free_.end());
        start = next->first;
    }
    return start;
}

Timetable::Steps::iterator Timetable::step_at(Time when) {
    const auto after = free_.upper_bound(when);
    FALLOW_ASSERT(after != free_.begin());
    const auto at = std::prev(after);
    return at->first == when ? at : free_.emplace_hint(after, when, at->second);
}

void Timetable::add(Time start, Time end, std::int64_t cards) {
    start = std::max(start, free_.begin()->first);
    if (end <= start) return;
    const auto last = step_at(end);
    for (auto step = step_at(start); step != last; ++step) {
        step->second += cards;
        FALLOW_ASSERT(step->second >= 0 && step->second <= cards_);
    }
}

void Timetable::book(Time start, Time end, std::int64_t cards) {
    add(start, end, -cards);
}

void Timetable::give_back(Time start, Time end, std::int64_t cards) {
    add(start, end, cards);
}

void Timetable::forget_before(Time now) {
    if (now <= free_.begin()->first) return;
    free_.erase(free_.begin(), step_at(now));
}

std::int64_t Timetable::free_at(Time when) const {
    return std::prev(free_.upper_bound(std::max(when, free_.begin()->first)))->second;
}

std::vector<Time> plan(Time now, std::int64_t cards, const std::vector<Running>& running,
                       const std::vector<Waiting>& waiting) {
    Timetable table(now, cards);
    for (const Running& each : running)
        table.book(now, each.end, each.cards);
    for (const Waiting& each : waiting)
        if (each.promised) table.book(*each.promised, *each.promised + each.term, each.cards);
    std::vector<Time> starts;
    starts.reserve(waiting.size());
    for (const Waiting& each : waiting) {
        if (each.promised) table.give_back(*each.promised, *each.promised + each.term, each.cards);
        starts.push_back(table.earliest(now, each.cards, each.term));
        table.book(starts.back(), starts.back() + each.term, each.cards);
    }
    return starts;
}

}  // namespace fallow::market::placement
