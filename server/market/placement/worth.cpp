#include "market/placement/worth.hpp"

#include <algorithm>

namespace fallow::market::placement {
namespace {

/// A kind that no task names.
constexpr Kind unnamed = -1;

std::vector<std::uint16_t> rank_shares(const std::vector<Expected>& expected) {
    std::vector<std::uint16_t> rank(whole_card + 1);
    for (const Expected& each : expected)
        if (each.task.is_share()) rank[static_cast<std::size_t>(each.task.thousandths)] = 1;
    for (std::size_t i = 1; i < rank.size(); ++i)
        rank[i] = static_cast<std::uint16_t>(rank[i] + rank[i - 1]);
    return rank;
}

}  // namespace

Worth::Worth(const std::vector<Expected>& expected)
    : share_rank_(rank_shares(expected)), shares_(share_rank_.back()) {
    Kind named_end = 0;
    for (const Expected& each : expected) {
        total_weight_ += each.weight;
        if (!each.task.is_share()) cards_max_ = std::max(cards_max_, each.task.cards);
        if (!each.task.kinds.empty()) named_end = std::max(named_end, each.task.kinds.back() + 1);
    }
    tables_.push_back(table_for(expected, unnamed));
    for (Kind kind = 0; kind < named_end; ++kind) {
        const bool named = std::any_of(expected.begin(), expected.end(), [&](const Expected& each) {
            return !each.task.kinds.empty() && each.task.allows(kind);
        });
        table_of_kind_.push_back(named ? tables_.size() : 0);
        if (named) tables_.push_back(table_for(expected, kind));
    }
}

Worth::Table Worth::table_for(const std::vector<Expected>& expected, Kind kind) const {
    Table table;
    table.columns = shares_ + 1 + static_cast<std::size_t>(cards_max_) + 1;
    const auto counts = [&](const Task& task) { return task.cards > 0 && task.allows(kind); };
    for (const Expected& each : expected)
        if (counts(each.task)) table.cpu_steps.push_back(each.task.cpu_milli);
    std::sort(table.cpu_steps.begin(), table.cpu_steps.end());
    table.cpu_steps.erase(std::unique(table.cpu_steps.begin(), table.cpu_steps.end()),
                          table.cpu_steps.end());
    table.weights.resize((table.cpu_steps.size() + 1) * table.columns);
    for (const Expected& each : expected) {
        if (!counts(each.task)) continue;
        const auto step =
            std::lower_bound(table.cpu_steps.begin(), table.cpu_steps.end(), each.task.cpu_milli);
        const auto row = static_cast<std::size_t>(step - table.cpu_steps.begin()) + 1;
        const auto column = each.task.is_share()
                                ? share_rank_[static_cast<std::size_t>(each.task.thousandths)]
                                : shares_ + 1 + static_cast<std::size_t>(each.task.cards);
        table.weights[row * table.columns + column] += each.weight;
    }
    for (std::size_t row = 1; row <= table.cpu_steps.size(); ++row) {
        std::int64_t* const cells = &table.weights[row * table.columns];
        std::int64_t* const above = cells - table.columns;
        // Each row holds its own tasks so far: sum along it, then add the row above, which is summed.
        for (std::size_t i = 1; i < table.columns; ++i)
            if (i != shares_ + 1) cells[i] += cells[i - 1];
        for (std::size_t i = 0; i < table.columns; ++i)
            cells[i] += above[i];
    }
    return table;
}

const std::int64_t* Worth::row(Kind kind, std::int64_t cpu_milli) const {
    const auto at = static_cast<std::size_t>(kind);
    const Table& table = tables_[at < table_of_kind_.size() ? table_of_kind_[at] : 0];
    const auto step = std::upper_bound(table.cpu_steps.begin(), table.cpu_steps.end(), cpu_milli);
    return &table.weights[static_cast<std::size_t>(step - table.cpu_steps.begin()) * table.columns];
}

std::int64_t Worth::whole_worth(const std::int64_t* row, std::int32_t cards) const {
    const auto column = shares_ + 1 + static_cast<std::size_t>(std::min(cards, cards_max_));
    return std::int64_t{whole_card} * cards * (row[shares_] + row[column]);
}

std::int64_t Worth::of(const RoomView& room) const {
    const std::int64_t* const weights = row(room.kind, room.cpu_milli);
    std::int64_t usable = whole_worth(weights, room.whole_cards);
    for (const std::int16_t part : room.parts)
        usable += part_worth(weights, part);
    return usable;
}

Worth::After Worth::after(const RoomView& room, const Task& task) const {
    const std::int64_t* const weights = row(room.kind, room.cpu_milli - task.cpu_milli);
    std::int64_t parts = 0;
    for (const std::int16_t part : room.parts)
        parts += part_worth(weights, part);
    if (!task.is_share()) return {parts + whole_worth(weights, room.whole_cards - task.cards), whole_card};

    const std::int64_t whole = whole_worth(weights, room.whole_cards);
    After best{-1, whole_card};
    for (std::size_t i = room.parts.size(); i-- > 0;) {  // the fullest card first
        const std::int32_t from = room.parts[i];
        if (from < task.thousandths) continue;
        const std::int64_t usable =
            parts + whole - part_worth(weights, from) + part_worth(weights, from - task.thousandths);
        if (usable > best.usable) best = {usable, from};
    }
    if (room.whole_cards == 0) return best;
    const std::int64_t usable = parts + whole_worth(weights, room.whole_cards - 1) +
                                part_worth(weights, whole_card - task.thousandths);
    return usable > best.usable ? After{usable, whole_card} : best;
}

}  // namespace fallow::market::placement
