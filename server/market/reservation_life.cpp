// What happens to a reservation by the clock and by the end of its lease, and what a broken commitment
// costs.
#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/policy_check.hpp"
#include "market/reservations.hpp"
#include "market/spot.hpp"
#include "market/traffic.hpp"

namespace fallow::market {
namespace {

using ledger::AccountKind;
using ledger::Micros;
using ledger::TransferReason;

/// The order that the block is filled as, at this moment.
Order order_of(const Reservation& row, Time now) {
    Order order;
    order.organization = row.renter;
    order.state = OrderState::filled;
    order.requirements.listing = row.listing;
    order.count = static_cast<std::int32_t>(row.cards.size());
    order.price_max = row.price;
    order.term = row.ends_at - now;
    order.fill_or_kill = true;
    order.placed_at = now;
    order.expires_at = row.ends_at;
    order.end_use = row.end_use;
    order.stored_gib_max = row.stored_gib_max;
    order.egress_gib = row.egress_gib;
    order.hourly = ledger::hourly({row.price, order.count * limits::thousandths_per_card});
    return order;
}

/// Whether the operator lets it begin: nobody is frozen, and the jurisdiction policy of today allows it.
bool is_permitted(const State& state, const Reservation& row, Time now) {
    if (!check_may_trade(state, row.renter) || state.is_frozen(FreezeKind::host, row.host.text()) ||
        state.at<Organization>(row.seller).status == OrganizationStatus::frozen)
        return false;
    const Order order = order_of(row, now);
    const Pairing pairing = pair_up(state, order, state.at<Listing>(row.listing), now);
    return std::ranges::all_of(
        row.cards, [&](CardId card) { return is_allowed_by_policy(pairing, state.at<Card>(card)); });
}

/// What keeps a block from starting.
std::optional<ReservationReason> obstacle(const State& state, const Reservation& row, Time now) {
    if (now >= row.ends_at) return ReservationReason::missed;
    if (!is_permitted(state, row, now)) return ReservationReason::policy_revoked;
    const Host& host = state.at<Host>(row.host);
    if (host.state != HostState::online || host.unreachable_since) return ReservationReason::host_absent;
    const bool are_there =
        std::ranges::all_of(row.cards, [&](CardId card) { return state.at<Card>(card).is_free(); });
    return are_there ? std::nullopt : std::optional(ReservationReason::cards_absent);
}

/// The seller pays for what it does not deliver from then on, out of its bond.
void take_penalty(Transaction& tx, Reservation& row, Time from) {
    const State& state = tx.state();
    const Micros amount = penalty_of(row, from);
    tx.transfer(state.account(row.seller, AccountKind::held),
                state.account(row.renter, AccountKind::available), amount, TransferReason::penalty, row.id);
    row.penalty = row.penalty + amount;
    row.bond = row.bond - amount;
}

void fail(Transaction& tx, Reservation row, ReservationReason reason) {
    remove_bookings(tx, row.id);
    release_deposit(tx, row);
    if (reason == ReservationReason::host_absent || reason == ReservationReason::cards_absent)
        take_penalty(tx, row, row.starts_at);
    release_bond(tx, row);
    row.state = ReservationState::failed;
    row.reason = reason;
    tx.update(std::move(row), "reservation.failed", name_of(reason));
}

/// A rental for the rest of the block: its renter brings a job to it at any time before the end.
Lease lease_of(Transaction& tx, const Reservation& row, const Order& order) {
    Lease lease;
    lease.id = tx.make_id<LeaseId>();
    lease.order = order.id;
    lease.renter = row.renter;
    lease.seller = row.seller;
    lease.host = row.host;
    lease.listing = row.listing;
    lease.pinned = true;
    lease.price = row.price;
    lease.thousandths = static_cast<std::int32_t>(row.cards.size()) * limits::thousandths_per_card;
    lease.storage_price = row.storage_price;
    lease.egress_price = row.egress_price;
    lease.egress_mib_max = egress_limit(order, row.egress_price);
    lease.fee_ppm = row.fee_ppm;
    lease.term = order.term;
    lease.reclaim_notice = row.reclaim_notice;
    lease.epoch = tx.context().epoch;
    lease.allocated_at = tx.now();
    lease.phase_deadline = row.ends_at;
    lease.nonce = tx.make_nonce();
    lease.cards = row.cards;
    const PolicyDecision allowed =
        policy_decision(pair_up(tx.state(), order, tx.state().at<Listing>(row.listing), tx.now()),
                        tx.state().at<Card>(row.cards.front()));
    lease.policy_version = allowed.version;
    if (allowed.rule != nullptr) lease.policy_rule = allowed.rule->name;
    lease.held = row.deposit;
    return lease;
}

void start(Transaction& tx, Reservation row) {
    if (const auto reason = obstacle(tx.state(), row, tx.now())) return fail(tx, std::move(row), *reason);
    const State& state = tx.state();
    Order order = order_of(row, tx.now());
    order.id = tx.make_id<OrderId>();
    Lease lease = lease_of(tx, row, order);
    order.lease = lease.id;
    release_deposit(tx, row);
    hold_traffic_in_reach(lease, state.account(row.renter, AccountKind::available).balance - lease.held);
    if (lease.held.count > 0)
        tx.transfer(state.account(row.renter, AccountKind::available),
                    state.account(row.renter, AccountKind::held), lease.held, TransferReason::hold,
                    lease.id);
    tx.insert(order, "order.filled");
    tx.insert(lease, "lease.allocated");
    for (const CardId card : lease.cards) {
        if (const auto promised = state.promised_to(card)) withdraw_promise(tx, *promised);
        tx.use_card(lease.id, card, limits::thousandths_per_card);
    }
    row.state = ReservationState::started;
    row.lease = lease.id;
    row.offer_price.reset();
    row.offer_from.reset();
    tx.update(std::move(row), "reservation.started");
}

void finish(Transaction& tx, Reservation row, ReservationReason reason) {
    remove_bookings(tx, row.id);
    release_bond(tx, row);
    row.state = ReservationState::ended;
    row.reason = reason;
    tx.update(std::move(row), "reservation.ended", name_of(reason));
}

/// The block is over. Its lease is told to stop; what that takes lies in the gap before the next booking.
void end_block(Transaction& tx, const Reservation& row) {
    const ReservationId id = row.id;
    const LeaseId lease = *row.lease;
    stop_lease(tx, lease, EndReason::term_reached, tx.state().rules().stop_grace);
    const Reservation& after = tx.state().at<Reservation>(id);
    if (after.state != ReservationState::started) return;  // the lease never ran, and is settled
    finish(
        tx, after,
        tx.state().at<Lease>(lease).running_at ? ReservationReason::used : ReservationReason::never_used);
}

bool is_sellers_fault(EndReason reason) {
    return reason == EndReason::reclaimed_by_owner || reason == EndReason::host_lost ||
           reason == EndReason::host_maintenance;
}

/// Whether the renter let the block pass: it brought no job, or cancelled before anything ran.
bool is_no_show(const Lease& lease) {
    if (lease.running_at) return false;
    if (lease.end_reason == EndReason::cancelled_by_renter) return true;
    return !lease.job &&
           (lease.end_reason == EndReason::start_timeout || lease.end_reason == EndReason::term_reached);
}

/// Where the penalty for a lease without a reservation comes from: what its seller has earned, or else what
/// it has available.
std::optional<AccountKind> penalty_source(const State& state, OrganizationId seller, Micros penalty) {
    for (const auto kind : {AccountKind::earned, AccountKind::available})
        if (state.account(seller, kind).balance >= penalty) return kind;
    return std::nullopt;
}

}  // namespace

void on_reservation_due(Transaction& tx, ReservationId id) {
    const Reservation* row = tx.state().find<Reservation>(id);
    const auto deadline = row != nullptr ? next_deadline(*row) : std::nullopt;
    if (!deadline || *deadline > tx.now()) return;
    if (row->state == ReservationState::booked)
        start(tx, *row);
    else
        end_block(tx, *row);
}

void settle_reserved(Transaction& tx, const Lease& lease, ledger::Micros given_back) {
    const auto id = tx.state().reservation_of(lease.id);
    if (!id) return;
    const State& state = tx.state();
    Reservation row = state.at<Reservation>(*id);
    if (is_sellers_fault(*lease.end_reason) && row.penalty.count == 0) take_penalty(tx, row, tx.now());
    if (is_no_show(lease)) {
        // What was held for the storage of a job is no part of the deposit.
        const Micros deposit = std::min(given_back, deposit_of(state.rules(), row));
        const Micros kept = part_of(deposit, row.cancel_kept_ppm);
        const Micros fee = ledger::fee_of(kept, row.fee_ppm);
        tx.transfer(state.account(row.renter, AccountKind::available),
                    state.account(row.seller, AccountKind::earned), kept - fee, TransferReason::kept, *id);
        tx.transfer(state.account(row.renter, AccountKind::available),
                    state.at<ledger::Account>(platform_fees), fee, TransferReason::kept_fee, *id);
        row.kept = kept;
    }
    finish(tx, std::move(row), lease.running_at ? ReservationReason::used : ReservationReason::never_used);
}

std::optional<ledger::Micros> penalty_for_reclaim(const State& state, const Lease& lease, Time now) {
    // A spot lease can be displaced at any time: nothing was promised to it.
    if (lease.stop_reason || lease.spot_floor || lease.renter == lease.seller) return std::nullopt;
    if (const auto id = state.reservation_of(lease.id)) return penalty_of(state.at<Reservation>(*id), now);
    const Listing* listing = state.find<Listing>(lease.listing);
    if (listing == nullptr || !listing->committed_until || *listing->committed_until <= now)
        return std::nullopt;
    const Time end = std::min(lease.running_at.value_or(now) + lease.term, *listing->committed_until);
    const Millis rest = std::max(end - now, Millis(0));
    return part_of(ledger::cost_ceiling({lease.price, lease.thousandths}, rest), state.rules().penalty_ppm);
}

Status check_penalty(const State& state, const Lease& lease, ledger::Micros penalty) {
    if (penalty.count == 0 || state.reservation_of(lease.id)) return Done{};
    if (penalty_source(state, lease.seller, penalty)) return Done{};
    return refuse(ErrorCode::insufficient_funds,
                  fmt::format("Breaking the commitment costs {} micros, and neither the earned nor the "
                              "available account has that much.",
                              penalty.count));
}

void pay_penalty(Transaction& tx, const Lease& lease, ledger::Micros penalty) {
    if (penalty.count == 0) return;
    const State& state = tx.state();
    if (const auto id = state.reservation_of(lease.id)) {
        Reservation row = state.at<Reservation>(*id);
        take_penalty(tx, row, tx.now());
        return tx.update(std::move(row), "reservation.broken",
                         name_of(ReservationReason::broken_by_seller));
    }
    const auto source = penalty_source(state, lease.seller, penalty);
    Micros rest = penalty;
    for (const auto kind : {AccountKind::earned, AccountKind::available}) {
        const auto& account = state.account(lease.seller, kind);
        const Micros part = std::min(rest, account.balance);
        if ((source && kind != *source) || part.count <= 0) continue;
        tx.transfer(account, state.account(lease.renter, AccountKind::available), part,
                    TransferReason::penalty, lease.id);
        rest = rest - part;
    }
}

}  // namespace fallow::market
