// What free capacity is worth to the tasks that are expected: the thousandths of a card that a host can
// still give, averaged over those tasks. The complement of the expected fragmentation of Weng et al.,
// "Beware of Fragmentation" (USENIX ATC 2023), in integers and without a loop over tasks.
#pragma once

#include <cstdint>
#include <vector>

#include "market/placement/room.hpp"

namespace fallow::market::placement {

struct Expected {
    Task task;
    std::int64_t weight = 0;
};

/// A task that fits a host can use the thousandths of every card there that could take part in it: of each
/// card with enough free for a share, of each whole card for whole cards. One that does not fit uses none.
/// Memory is not looked at, and a task without cards uses none.
class Worth {
  public:
    Worth() : Worth(std::vector<Expected>{}) {}
    explicit Worth(const std::vector<Expected>& expected);

    [[nodiscard]] std::int64_t total_weight() const { return total_weight_; }

    /// Usable thousandths summed over the expected tasks, each times its weight.
    [[nodiscard]] std::int64_t of(const RoomView& room) const;

    /// The same for what would be left after `task`, and the card it is best cut from: the one that leaves
    /// the most; among equals the fullest. The task must fit.
    struct After {
        std::int64_t usable = 0;
        std::int32_t from = whole_card;
    };
    [[nodiscard]] After after(const RoomView& room, const Task& task) const;

  private:
    /// Cumulative weights of the tasks that a kind of host may serve.
    struct Table {
        std::vector<std::int64_t> cpu_steps;  ///< the distinct processor demands, ascending
        std::size_t columns = 0;
        /// Row i: tasks that ask for no more than the first i steps. Columns: shares by rank, then cards.
        std::vector<std::int64_t> weights;
    };

    [[nodiscard]] Table table_for(const std::vector<Expected>& expected, Kind kind) const;
    [[nodiscard]] const std::int64_t* row(Kind kind, std::int64_t cpu_milli) const;
    [[nodiscard]] std::int64_t part_worth(const std::int64_t* row, std::int32_t part) const {
        return part * row[share_rank_[static_cast<std::size_t>(part)]];
    }
    [[nodiscard]] std::int64_t whole_worth(const std::int64_t* row, std::int32_t cards) const;

    std::int64_t total_weight_ = 0;
    std::vector<std::uint16_t> share_rank_;  ///< by thousandths: how many distinct shares fit
    std::size_t shares_ = 0;
    std::int32_t cards_max_ = 0;
    std::vector<std::size_t> table_of_kind_;  ///< kinds beyond its end are in no task's list: table 0
    std::vector<Table> tables_;
};

}  // namespace fallow::market::placement
