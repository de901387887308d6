// Which of the listings that ask the same serves an order: the one on which it adds the least fragmentation
// for what is asked for now (placement/worth.hpp), then the one that keeps least free, then the lowest id.
// Only what is free is looked at; whether a listing fits is eligibility.hpp.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "market/placement/index.hpp"
#include "market/state.hpp"

namespace fallow::market {

/// How many listings with one ask are weighed against each other. The next so many come behind all of them.
inline constexpr std::size_t equal_asks_weighed_max = 64;

struct Weighed {
    placement::Cost cost;
    ListingId listing;

    friend auto operator<=>(const Weighed&, const Weighed&) = default;
};

/// For one order. What is expected is worked out once, and only if listings differ.
class Weighing {
  public:
    Weighing(const State& state, const Order& order);

    /// Those of the listings, given by id, that have what the order takes of one host: the best first.
    [[nodiscard]] std::vector<Weighed> weigh(std::span<const ListingId> equals);

  private:
    /// What counts of a listing: its free cards, and the part of a card that a share would come from.
    struct Free {
        std::int32_t cards = 0;
        std::int32_t part = 0;
        friend bool operator==(const Free&, const Free&) = default;
    };
    [[nodiscard]] Free free_of(ListingId listing) const;
    [[nodiscard]] bool suffices(const Free& free) const;
    [[nodiscard]] placement::Cost cost_of(const Free& free);

    const State& state_;
    const Order& order_;
    placement::Task task_;
    std::optional<placement::Worth> worth_;
};

}  // namespace fallow::market
