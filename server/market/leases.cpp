#include "market/leases.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "market/failed_starts.hpp"
#include "market/handlers.hpp"
#include "market/host_life.hpp"
#include "market/jobs.hpp"
#include "market/matching.hpp"
#include "market/pools.hpp"
#include "market/reservations.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

using ledger::AccountKind;
using ledger::Micros;
using ledger::TransferReason;

std::string_view event_of(LeaseState state) {
    switch (state) {
        case LeaseState::allocated:
            return "lease.allocated";
        case LeaseState::preparing:
            return "lease.preparing";
        case LeaseState::running:
            return "lease.running";
        case LeaseState::reclaiming:
            return "lease.reclaiming";
        case LeaseState::ended:
            return "lease.ended";
    }
    return {};
}

/// The part of `wanted` that the renter's available money covers.
Micros affordable(const State& state, OrganizationId renter, Micros wanted) {
    return std::min(wanted, state.account(renter, AccountKind::available).balance);
}

void top_up(Transaction& tx, Lease& lease) {
    const State& state = tx.state();
    const Micros wanted = hold_wanted(state.rules(), lease, highest_price(state, lease));
    // What is held for traffic pays for no time.
    const Micros traffic = ledger::cost_ceiling(lease.traffic_left());
    if ((lease.held - traffic).count * 4 >= (wanted - traffic).count * 3)
        return;  // still three quarters of the window: not worth a transfer
    const Micros amount = affordable(state, lease.renter, wanted - lease.held);
    if (amount.count <= 0) return;
    tx.transfer(state.account(lease.renter, AccountKind::available),
                state.account(lease.renter, AccountKind::held), amount, TransferReason::hold, lease.id);
    lease.held = lease.held + amount;
}

/// The end of the term and of the money cut a notice short, but never below the grace that every stop has.
Millis bounded_notice(const Rules& rules, const Lease& lease, Millis notice, Time now) {
    Time end = *lease.running_at + lease.term;
    if (lease.ends_by) end = std::min(end, *lease.ends_by);
    if (lease.paid_until) end = std::min(end, *lease.paid_until);
    return std::min(notice, std::max(rules.stop_grace, end - now));
}

/// What a lease's end means for its job. Outputs that were never fetched are lost with their host, and a
/// job that its renter has cancelled does not come back.
EndReason outcome_for_job(const Lease& lease, EndReason end, bool outputs_may_be_missing) {
    const EndReason outcome =
        outputs_may_be_missing && end == EndReason::completed ? EndReason::host_lost : end;
    const bool is_cancelled = lease.stop_reason == EndReason::cancelled_by_renter;
    return is_cancelled && is_retried(outcome) ? EndReason::cancelled_by_renter : outcome;
}

void put_on_record(Transaction& tx, const Lease& ended) {
    Host host = tx.state().at<Host>(ended.host);
    const HostRecord record = with(host.record, ended);
    if (record == host.record) return;
    host.record = record;
    tx.update(std::move(host), {});
}

void on_running_deadline(Transaction& tx, const Lease& lease) {
    const Time now = tx.now();
    const auto passed = [&](const std::optional<Time>& deadline) { return deadline && *deadline <= now; };
    if (passed(lease.phase_deadline)) return finish_lease(tx, lease.id, EndReason::host_lost, false);
    if (passed(lease.reclaim_deadline)) return begin_reclaiming(tx, lease.id, *lease.stop_reason);
    if (*lease.running_at + lease.term <= now || passed(lease.ends_by))
        return stop_lease(tx, lease.id, EndReason::term_reached, tx.state().rules().stop_grace);
    if (lease.maintenance_at && *lease.maintenance_at - lease.reclaim_notice <= now)
        return stop_lease(tx, lease.id, EndReason::host_maintenance,
                          std::max(*lease.maintenance_at - now, tx.state().rules().stop_grace));
    if (!passed(lease.paid_until)) return;
    Lease next = lease;
    top_up(tx, next);
    // Counted from the last statement: what ran since then has used up the old hold already.
    next.paid_until = paid_until(tx.state(), next, *next.usage_at);
    const bool is_funded = next.held > lease.held;
    const bool is_paid = is_funded && *next.paid_until > now;
    const LeaseId id = lease.id;
    // What little was found is held either way, or the transfer would have no owner.
    if (is_funded) tx.update(std::move(next), "lease.funded");
    if (!is_paid) stop_lease(tx, id, EndReason::funds_exhausted, tx.state().rules().stop_grace);
}

/// Looks again whether the deadline has passed: what was done before may have served it, as when an order
/// that expires was filled.
void on_due(Transaction& tx, const DueId& id) {
    if (const auto* order_id = std::get_if<OrderId>(&id)) {
        const Order* order = tx.state().find<Order>(*order_id);
        if (order != nullptr && order->state == OrderState::standing && order->expires_at <= tx.now())
            expire_order(tx, *order_id);
        return;
    }
    if (const auto* pool = std::get_if<SpotPoolId>(&id)) return reprice_if_due(tx, *pool);
    if (const auto* reservation = std::get_if<ReservationId>(&id))
        return on_reservation_due(tx, *reservation);
    if (const auto* host = std::get_if<HostId>(&id)) return on_host_due(tx, *host);
    const LeaseId lease_id = std::get<LeaseId>(id);
    const Lease* lease = tx.state().find<Lease>(lease_id);
    const auto deadline = lease != nullptr ? next_deadline(*lease) : std::nullopt;
    if (deadline && *deadline <= tx.now()) on_deadline(tx, lease_id);
}

}  // namespace

bool image_matches(const std::string& image, const std::string& target) {
    if (image == target) return true;
    const auto at = image.find('@');
    return at != std::string::npos && image.substr(at + 1) == target;
}

ledger::Micros hold_wanted(const Rules& rules, const Lease& lease, ledger::Price price) {
    const Millis window =
        rules.hold_window + rules.disconnect_window + std::max(lease.reclaim_notice, rules.stop_grace);
    const Millis rest = lease.term - lease.meter.running;
    return ledger::cost_ceiling(lease.rate_at(price),
                                std::clamp(window, Millis(0), std::max(rest, Millis(0)))) +
           ledger::cost_ceiling(lease.traffic_left());
}

ledger::Micros missing_hold(const Rules& rules, const Lease& lease, ledger::Price price) {
    return std::max(hold_wanted(rules, lease, price) - lease.held, Micros(0));
}

Time paid_until(const State& state, const Lease& lease, Time now) {
    const Millis covered = ledger::covered_by(lease.meter, lease.rate_at(highest_price(state, lease)),
                                              lease.held, lease.traffic_left());
    const Time until = now + covered;
    if (!lease.running_at || covered < lease.term - lease.meter.running) return until;
    // Paid to the end of the term, although the host's clock may be ahead of this one by a little.
    return std::max(until, *lease.running_at + lease.term);
}

void charge(Transaction& tx, Lease& lease, const Accepted& accepted) {
    const State& state = tx.state();
    const auto before = lease.meter;
    lease.meter = ledger::advance(before, lease.rate(), accepted.running - before.running, lease.fee_ppm,
                                  {lease.egress_price, accepted.egress_mib - before.egress_mib});
    const Micros amount = lease.meter.charged - before.charged;
    const Micros fee = lease.meter.fee - before.fee;
    FALLOW_ASSERT(amount <= lease.held);
    const auto& held = state.account(lease.renter, AccountKind::held);
    if ((amount - fee).count > 0)
        tx.transfer(held, state.account(lease.seller, AccountKind::earned), amount - fee,
                    TransferReason::charge, lease.id);
    if (fee.count > 0)
        tx.transfer(held, state.at<ledger::Account>(platform_fees), fee, TransferReason::fee, lease.id);
    lease.held = lease.held - amount;
    if (lease.state == LeaseState::running && !lease.stop_reason) top_up(tx, lease);
}

void stop_lease(Transaction& tx, LeaseId id, EndReason reason, Millis notice) {
    Lease lease = tx.state().at<Lease>(id);
    // A cancellation is remembered even where something else ends the lease first: the job must not come
    // back.
    const bool overrides = reason == EndReason::cancelled_by_renter && lease.stop_reason != reason;
    switch (lease.state) {
        case LeaseState::allocated:
            return finish_lease(tx, id, reason, false);
        case LeaseState::preparing:
            return begin_reclaiming(tx, id, reason);
        case LeaseState::running: {
            const Time deadline = tx.now() + bounded_notice(tx.state().rules(), lease, notice, tx.now());
            const bool is_earlier = !lease.reclaim_deadline || deadline < *lease.reclaim_deadline;
            if (!is_earlier && !overrides) return;
            if (is_earlier) lease.reclaim_deadline = deadline;
            if (lease.stop_reason != EndReason::cancelled_by_renter) lease.stop_reason = reason;
            tx.update(lease, "lease.stopping", name_of(reason));
            return stop_others(tx, lease, reason, notice);
        }
        case LeaseState::reclaiming:
            if (!overrides) return;
            lease.stop_reason = reason;
            tx.update(lease, "lease.stopping", name_of(reason));
            return stop_others(tx, lease, reason, notice);
        case LeaseState::ended:
            return;
    }
}

void stop_others(Transaction& tx, const Lease& member, EndReason reason, Millis notice) {
    if (!member.is_member() || reason == EndReason::completed) return;
    const State::ByRank<LeaseId> leases = tx.state().leases_of(member.order);
    for (const auto& [rank, id] : leases) {
        const Lease& other = tx.state().at<Lease>(id);
        const bool is_stopping =
            other.stop_reason && (*other.stop_reason == reason || reason != EndReason::cancelled_by_renter);
        if (id != member.id && other.state != LeaseState::ended && !is_stopping)
            stop_lease(tx, id, reason, notice);
    }
}

void begin_reclaiming(Transaction& tx, LeaseId id, EndReason reason) {
    Lease lease = tx.state().at<Lease>(id);
    FALLOW_ASSERT(lease.state == LeaseState::running || lease.state == LeaseState::preparing);
    lease.state = LeaseState::reclaiming;
    lease.stop_reason = lease.stop_reason.value_or(reason);
    lease.end_reason = reason;
    lease.reclaiming_at = tx.now();
    lease.reclaim_deadline.reset();
    lease.phase_deadline = tx.now() + tx.state().rules().reclaim_deadline;
    tx.update(lease, event_of(LeaseState::reclaiming), name_of(reason));
    stop_others(tx, lease, reason, tx.state().rules().stop_grace);
}

void finish_lease(Transaction& tx, LeaseId id, EndReason reason, bool released) {
    Lease lease = tx.state().at<Lease>(id);
    FALLOW_ASSERT(lease.state != LeaseState::ended);
    const bool outputs_may_be_missing = !released && lease.state == LeaseState::reclaiming;
    const Micros given_back = lease.held;
    if (lease.held.count > 0)
        tx.transfer(tx.state().account(lease.renter, AccountKind::held),
                    tx.state().account(lease.renter, AccountKind::available), lease.held,
                    TransferReason::release, id);
    lease.held = Micros(0);
    lease.state = LeaseState::ended;
    lease.stop_reason = lease.stop_reason.value_or(reason);
    lease.end_reason = lease.end_reason.value_or(reason);
    lease.ended_at = tx.now();
    lease.phase_deadline.reset();
    lease.reclaim_deadline.reset();
    const EndReason outcome = outcome_for_job(lease, *lease.end_reason, outputs_may_be_missing);
    auto bill = lease.spot_floor ? bill_of(tx.state(), lease) : std::vector<ledger::Segment>();
    tx.update(lease, event_of(LeaseState::ended), name_of(outcome));
    tx.add_bill(std::move(bill));
    put_on_record(tx, tx.state().at<Lease>(id));
    note_unpaid_start(tx, tx.state().at<Lease>(id));
    settle_reserved(tx, tx.state().at<Lease>(id), given_back);
    if (released) release_cards(tx, id);
    // Before the others end: the last of a gang settles all of its jobs.
    if (lease.job) settle_job(tx, *lease.job, outcome, lease.exit_code);
    stop_others(tx, lease, outcome, tx.state().rules().stop_grace);
    if (!released) settle_draining(tx, lease.host);
}

void release_cards(Transaction& tx, LeaseId id) {
    Lease lease = tx.state().at<Lease>(id);
    FALLOW_ASSERT(lease.state == LeaseState::ended && !lease.released);
    for (const CardId card : lease.cards)
        tx.release_card(id, card, lease.thousandths_of_each());
    lease.released = true;
    const std::vector<CardId> cards = lease.cards;
    const HostId host = lease.host;
    tx.update(std::move(lease), "lease.released");
    serve_promises(tx, cards);
    settle_draining(tx, host);
}

void on_deadline(Transaction& tx, LeaseId id) {
    const Lease lease = tx.state().at<Lease>(id);
    switch (lease.state) {
        case LeaseState::allocated:
            return finish_lease(tx, id, EndReason::start_timeout, false);
        case LeaseState::preparing:
            return begin_reclaiming(tx, id, EndReason::start_timeout);
        case LeaseState::running:
            return on_running_deadline(tx, lease);
        case LeaseState::reclaiming:
            return finish_lease(tx, id, *lease.end_reason, false);
        case LeaseState::ended:
            return;
    }
}

Result<Outcome> handle(Transaction& tx, const EndLease& command) {
    const auto lease = visible_to_renter(tx, command.lease);
    if (!lease) return lease.error();
    if ((*lease)->state == LeaseState::ended || (*lease)->state == LeaseState::reclaiming)
        return refuse(ErrorCode::wrong_state, "The lease has ended, or is ending already.");

    stop_lease(tx, command.lease, EndReason::cancelled_by_renter, tx.state().rules().stop_grace);
    return Outcome(tx.state().at<Lease>(command.lease));
}

Result<Outcome> handle(Transaction& tx, const ReclaimLease& command) {
    const auto lease = visible_to_seller(tx, command.lease);
    if (!lease) return lease.error();
    if ((*lease)->state == LeaseState::ended || (*lease)->state == LeaseState::reclaiming)
        return refuse(ErrorCode::wrong_state, "The lease has ended, or is ending already.");

    const auto penalty = penalty_for_reclaim(tx.state(), **lease, tx.now());
    if (penalty && !command.breach)
        return refuse(
            ErrorCode::committed,
            fmt::format("The cards are committed to this renter: taking them back costs {} micros "
                        "at most, which the renter gets. Repeat it with breach: true to go on.",
                        penalty->count),
            "/breach");
    if (penalty)
        if (const auto payable = check_penalty(tx.state(), **lease, *penalty); !payable)
            return payable.error();

    const Millis notice = (*lease)->reclaim_notice;
    if (penalty) pay_penalty(tx, **lease, *penalty);
    stop_lease(tx, command.lease, EndReason::reclaimed_by_owner, notice);
    return Outcome(tx.state().at<Lease>(command.lease));
}

Result<Outcome> handle(Transaction& tx, const Tick& command) {
    if (command.only) {
        on_due(tx, *command.only);
        return Outcome(Done{});
    }
    std::vector<DueId> due;
    for (const auto& [deadline, id] : tx.state().due()) {
        if (deadline > tx.now() || due.size() == tx.state().rules().due_per_tick_max) break;
        due.push_back(id);
    }
    // Pools last: a job that a deadline puts back may displace for its next attempt in the same tick.
    std::stable_partition(due.begin(), due.end(),
                          [](const DueId& id) { return !std::holds_alternative<SpotPoolId>(id); });
    for (const DueId& id : due)
        on_due(tx, id);
    match_standing_orders(tx);
    return Outcome(Done{});
}

}  // namespace fallow::market
