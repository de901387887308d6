// The tasks that were asked for lately, counted by class: what is expected to come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "market/placement/worth.hpp"

namespace fallow::market::placement {

/// Bounded and decaying: whenever the counts add up to `window` tasks they are halved. So a task counts for
/// half as much after each half window, and a class that is asked for no more vanishes.
class DemandWindow {
  public:
    /// What a task weighs when it is new.
    static constexpr std::int64_t unit = 1024;

    explicit DemandWindow(std::int64_t window) : window_(window * unit) {}

    void add(const Task& task);
    /// Each class with its weight, in the order of the tasks. Memory is left out of the classes.
    [[nodiscard]] std::vector<Expected> expected() const;

  private:
    void halve();

    std::int64_t window_;
    std::int64_t counted_ = 0;
    std::unordered_map<Task, std::int64_t, TaskHash> weights_;
};

/// Free thousandths by kind of host.
class Supply {
  public:
    void add(Kind kind, std::int64_t thousandths);
    [[nodiscard]] std::int64_t total() const { return total_; }
    [[nodiscard]] std::int64_t open_to(const Task& task) const;

  private:
    std::int64_t total_ = 0;
    std::map<Kind, std::int64_t> by_kind_;
};

/// The weights that placement uses: each class's own, times the root of (one card / what it asks for; half
/// a card if it asks for none) and of (all that is free / what is free on the kinds that it allows). The
/// second factor spares what few hosts can give; it is 1 where every task may go everywhere.
[[nodiscard]] std::vector<Expected> weighed(std::vector<Expected> expected, const Supply& supply);

}  // namespace fallow::market::placement
