// What a host has free and what a task asks of it, reduced to what placement looks at.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/limits.hpp"

namespace fallow::market::placement {

/// A kind of host, for tasks that allow some kinds only: the card's model, or whatever the caller tells
/// apart.
using Kind = std::int32_t;

/// The free capacity of one host. Cards with nothing free are not in it, so hosts that could serve the same
/// tasks compare equal whatever they were once.
struct Room {
    Kind kind = 0;
    std::int64_t cpu_milli = 0;
    std::int64_t memory = 0;
    std::int32_t whole_cards = 0;
    std::vector<std::int16_t> parts;  ///< free thousandths of the cards partly in use, the largest first

    [[nodiscard]] std::int64_t thousandths() const;

    friend bool operator==(const Room&, const Room&) = default;
    friend auto operator<=>(const Room&, const Room&) = default;
};

/// The same, wherever it is kept.
struct RoomView {
    Kind kind = 0;
    std::int64_t cpu_milli = 0;
    std::int64_t memory = 0;
    std::int32_t whole_cards = 0;
    std::span<const std::int16_t> parts;

    RoomView() = default;
    RoomView(const Room& room)  // NOLINT(google-explicit-constructor): every room is one
        : kind(room.kind),
          cpu_milli(room.cpu_milli),
          memory(room.memory),
          whole_cards(room.whole_cards),
          parts(room.parts) {}
};

/// `cards` whole cards, or a share of `thousandths` of one card. Zero cards: processor and memory only.
struct Task {
    std::int32_t cards = 0;
    std::int32_t thousandths =
        limits::thousandths_per_card;  ///< of each card; below 1000 with one card only
    std::int64_t cpu_milli = 0;
    std::int64_t memory = 0;
    std::vector<Kind> kinds;  ///< allowed, ascending; empty allows every kind

    [[nodiscard]] bool is_share() const { return cards == 1 && thousandths < limits::thousandths_per_card; }
    [[nodiscard]] bool allows(Kind kind) const;
    /// Thousandths over all its cards.
    [[nodiscard]] std::int64_t asked() const { return std::int64_t{cards} * thousandths; }

    friend bool operator==(const Task&, const Task&) = default;
    friend auto operator<=>(const Task&, const Task&) = default;
};

/// The free thousandths of the card that a share is cut from; a whole task takes whole cards.
inline constexpr std::int32_t whole_card = limits::thousandths_per_card;

/// True when the host's processor, memory, kind and cards suffice.
[[nodiscard]] bool fits(const RoomView& room, const Task& task);

/// What is left after a task that fits; a share is cut from a card with exactly `from` thousandths free.
[[nodiscard]] Room taken(Room room, const Task& task, std::int32_t from);

struct RoomHash {
    [[nodiscard]] std::size_t operator()(const Room& room) const;
};
struct TaskHash {
    [[nodiscard]] std::size_t operator()(const Task& task) const;
};

}  // namespace fallow::market::placement
