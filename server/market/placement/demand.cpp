#include "market/placement/demand.hpp"

#include <algorithm>

namespace fallow::market::placement {
namespace {

/// The square root, rounded down.
std::int64_t root(std::int64_t value) {
    std::int64_t found = 0;
    for (std::int64_t bit = std::int64_t{1} << 31U; bit > 0; bit /= 2)
        if ((found + bit) * (found + bit) <= value) found += bit;
    return found;
}

}  // namespace

void DemandWindow::add(const Task& task) {
    Task key = task;
    key.memory = 0;
    weights_[std::move(key)] += unit;
    counted_ += unit;
    if (counted_ >= window_) halve();
}

void DemandWindow::halve() {
    counted_ = 0;
    for (auto at = weights_.begin(); at != weights_.end();) {
        at->second /= 2;
        counted_ += at->second;
        at = at->second == 0 ? weights_.erase(at) : std::next(at);
    }
}

std::vector<Expected> DemandWindow::expected() const {
    std::vector<Expected> found;
    found.reserve(weights_.size());
    for (const auto& [task, count] : weights_)
        found.push_back({task, count});
    std::sort(found.begin(), found.end(),
              [](const Expected& left, const Expected& right) { return left.task < right.task; });
    return found;
}

void Supply::add(Kind kind, std::int64_t thousandths) {
    total_ += thousandths;
    by_kind_[kind] += thousandths;
}

std::int64_t Supply::open_to(const Task& task) const {
    std::int64_t sum = 0;
    for (const auto& [kind, thousandths] : by_kind_)
        if (task.allows(kind)) sum += thousandths;
    return sum;
}

std::vector<Expected> weighed(std::vector<Expected> expected, const Supply& supply) {
    constexpr std::int64_t one = 1024;
    for (Expected& each : expected) {
        const Task& task = each.task;
        const std::int64_t open = std::max({supply.open_to(task), supply.total() / one, std::int64_t{1}});
        const std::int64_t scarcity = std::max(one, supply.total() * one / open);
        const std::int64_t asked = task.cards == 0 ? whole_card / 2 : task.asked();
        const std::int64_t smallness = one * whole_card / asked;
        each.weight = each.weight * root(scarcity * smallness) / one;
    }
    return expected;
}

}  // namespace fallow::market::placement
