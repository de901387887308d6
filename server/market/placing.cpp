#include "market/placing.hpp"

#include <algorithm>
#include <functional>

namespace fallow::market {
namespace {

/// What is asked for now, with the weights that placement gives it. All listings are one kind: what an
/// order requires of a card is a query, and no list of kinds.
placement::Worth worth_of(const State& state) {
    std::vector<placement::Expected> expected;
    expected.reserve(state.asked_for().size());
    for (const auto& [shape, count] : state.asked_for()) {
        placement::Task task;
        task.cards = shape.cards;
        task.thousandths = shape.thousandths;
        expected.push_back({task, count * placement::DemandWindow::unit});
    }
    placement::Supply one_kind;
    one_kind.add(0, placement::whole_card);
    return placement::Worth(placement::weighed(std::move(expected), one_kind));
}

}  // namespace

Weighing::Weighing(const State& state, const Order& order) : state_(state), order_(order) {
    task_.cards = order.count;
    task_.thousandths = order.thousandths;
}

/// The part is of the fullest card on which the renter has one already and this one fits: matching takes it
/// of that. Others' cards are closed to it.
Weighing::Free Weighing::free_of(ListingId listing) const {
    Free free{state_.free_cards(listing), 0};
    if (!task_.is_share()) return free;
    for (const auto& [less, index, card] : state_.part_cards_of(listing)) {
        const std::int32_t part = limits::thousandths_per_card + less;
        if (part < task_.thousandths || state_.tenant_of(card) != order_.organization) continue;
        free.part = part;
        break;
    }
    return free;
}

bool Weighing::suffices(const Free& free) const {
    return free.cards >= task_.cards || free.part > 0;
}

placement::Cost Weighing::cost_of(const Free& free) {
    if (!worth_) worth_ = worth_of(state_);
    placement::Room room;
    room.whole_cards = free.cards;
    if (free.part > 0) room.parts.push_back(static_cast<std::int16_t>(free.part));
    return placement::cost_of(*worth_, room, task_, free.part > 0 ? free.part : placement::whole_card);
}

std::vector<Weighed> Weighing::weigh(std::span<const ListingId> equals) {
    std::vector<Weighed> found;
    std::vector<Free> free;
    found.reserve(equals.size());
    free.reserve(equals.size());
    for (const ListingId listing : equals) {
        const Free here = free_of(listing);
        if (!suffices(here)) continue;
        found.push_back({{}, listing});
        free.push_back(here);
    }
    const bool alike = std::adjacent_find(free.begin(), free.end(), std::not_equal_to<>()) == free.end();
    if (alike) return found;
    for (std::size_t i = 0; i < found.size(); ++i)
        found[i].cost = cost_of(free[i]);
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace fallow::market
