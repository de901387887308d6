// Changing a bid, and the market's step between two of them.
#include <fmt/format.h>

#include <algorithm>

#include "market/filling.hpp"
#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/matching.hpp"
#include "market/pools.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

constexpr const char* price_pointer = "/price_micros_per_hour";

Status check_cooldown(const Transaction& tx, const Order& order, ledger::Price price) {
    if (price >= order.price_max) return Done{};
    const Time may_fall =
        order.bid_changed_at.value_or(order.placed_at) + tx.state().rules().bid_lower_cooldown;
    if (tx.now() < may_fall)
        return refuse(ErrorCode::wrong_state,
                      fmt::format("The bid was made or changed a moment ago: it may be lowered from {} on.",
                                  to_rfc3339(may_fall)),
                      price_pointer);
    return Done{};
}

Result<const Lease*> live_lease(const State& state, const Order& order) {
    const Lease* lease = order.lease ? state.find<Lease>(*order.lease) : nullptr;
    const bool is_live = lease != nullptr && !lease->stop_reason &&
                         lease->state != LeaseState::reclaiming && lease->state != LeaseState::ended;
    if (!is_live)
        return refuse(ErrorCode::wrong_state,
                      "A bid can be changed while its order stands, or while its lease has not been told "
                      "to stop: place a new order.");
    return lease;
}

Status check_lease(const State& state, const Order& order, const Lease& lease, ledger::Price price) {
    if (price < *lease.spot_floor)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("The lease's floor is {} micros an hour: bid at least that, or end it.",
                                  lease.spot_floor->micros_per_hour),
                      price_pointer);
    if (price < lease.price && !may_begin_segment(state, lease))
        return refuse(
            ErrorCode::limit_reached,
            fmt::format("A lease has at most {} prices, so that its bid cannot go below its price "
                        "any more: end it and order again.",
                        limits::price_segments_per_lease_max),
            price_pointer);
    const ledger::Micros missing =
        price > order.price_max ? missing_hold(state.rules(), lease, price) : ledger::Micros(0);
    if (missing.count == 0) return Done{};
    return ledger::check_transfer(state.account(order.organization, ledger::AccountKind::available),
                                  state.account(order.organization, ledger::AccountKind::held), missing);
}

void change_standing(Transaction& tx, const Order& before, ledger::Price price) {
    Order order = before;
    const OrderId id = order.id;
    const bool is_raised = price > order.price_max;
    order.price_max = price;
    order.bid_changed_at = tx.now();
    // A promise was won by the old bid.
    if (!is_raised) order.promised.clear();
    tx.update(std::move(order), "order.bid_changed");
    match_standing_orders(tx);
    if (!is_raised) return displace_again(tx);
    if (tx.state().at<Order>(id).state == OrderState::standing) displace_for(tx, id);
}

void change_running(Transaction& tx, const Order& before, const Lease& known, ledger::Price price) {
    Order order = before;
    Lease lease = known;
    const State& state = tx.state();
    const bool is_raised = price > order.price_max;
    const ledger::Micros missing =
        is_raised ? missing_hold(state.rules(), lease, price) : ledger::Micros(0);
    order.price_max = price;
    order.bid_changed_at = tx.now();
    tx.update(std::move(order), "order.bid_changed");
    if (missing.count > 0)
        tx.transfer(state.account(lease.renter, ledger::AccountKind::available),
                    state.account(lease.renter, ledger::AccountKind::held), missing,
                    ledger::TransferReason::hold, lease.id);
    lease.held = lease.held + missing;
    if (lease.price > price) {
        lease.price = price;
        begin_segment(tx, lease);
    }
    if (lease.usage_at) lease.paid_until = paid_until(state, lease, *lease.usage_at);
    tx.update(std::move(lease), "lease.funded");
    if (!is_raised) displace_again(tx);
}

}  // namespace

Result<Outcome> handle(Transaction& tx, const ChangeBid& command) {
    const auto found = visible(tx, command.order);
    if (!found) return found.error();
    const Order order = **found;
    if (!is_spot(order))
        return refuse(ErrorCode::wrong_state,
                      "The order has a fixed price: only a spot order has a bid that can be changed.");
    const bool stands = order.state == OrderState::standing;
    const auto lease = stands ? Result<const Lease*>(nullptr) : live_lease(tx.state(), order);
    if (!lease) return lease.error();
    if (const auto open = check_may_trade(tx.state(), order.organization); !open) return open.error();
    if (const auto fine = check_cooldown(tx, order, command.price); !fine) return fine.error();
    if (command.price == order.price_max) return Outcome(order);
    if (stands) {
        Order changed = order;
        changed.price_max = command.price;
        const auto funded =
            check_funds(tx.state(), order.organization, first_hold_at_limit(tx.state(), changed));
        if (!funded && command.price > order.price_max) return funded.error();
    } else if (const auto fine = check_lease(tx.state(), order, **lease, command.price); !fine) {
        return fine.error();
    }

    if (stands)
        change_standing(tx, order, command.price);
    else
        change_running(tx, order, **lease, command.price);
    return Outcome(tx.state().at<Order>(command.order));
}

Result<Outcome> handle(Transaction& tx, const SetSpotStep& command) {
    Settings row = tx.state().settings();
    row.spot_step = command.step;
    tx.update(row, "settings.changed");
    return Outcome(tx.state().settings());
}

}  // namespace fallow::market
