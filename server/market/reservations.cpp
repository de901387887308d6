// Reserving, and giving up what was reserved.
#include "market/reservations.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/quotes.hpp"
#include "market/traffic.hpp"

namespace fallow::market {
namespace {

using ledger::AccountKind;
using ledger::Micros;
using ledger::TransferReason;

std::int32_t thousandths_of(const Reservation& reservation) {
    return static_cast<std::int32_t>(reservation.cards.size()) * limits::thousandths_per_card;
}

Order order_for(const Transaction& tx, const Reserve& command) {
    Order order;
    order.organization = tx.context().caller.organization;
    order.requirements = command.requirements;
    order.count = command.count;
    order.price_max = command.price_max;
    if (command.quote) order.egress_gib = command.quote->moved_gib;
    order.term = command.term;
    order.end_use = command.end_use;
    order.fill_or_kill = true;
    order.placed_at = tx.now();
    return order;
}

Status check_reserve(const Transaction& tx, const Reserve& command) {
    const State& state = tx.state();
    const OrganizationId renter = tx.context().caller.organization;
    if (const auto open = check_may_trade(state, renter); !open) return open;
    if (command.starts_at <= tx.now())
        return refuse(ErrorCode::invalid_field, "A reservation starts in the future; order for now.",
                      "/starts_at");
    if ((command.starts_at - tx.now()).count > limits::reservation_ahead_ms_max)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("A reservation starts within {} days.",
                                  limits::reservation_ahead_ms_max / days(1).count),
                      "/starts_at");
    if (state.open_reservations(renter) >= limits::open_reservations_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("An organization has at most {} open reservations: cancel some.",
                                  limits::open_reservations_per_organization_max));
    return Done{};
}

Reservation reservation_for(const State& state, const Order& order, const Block& block,
                            const Reserve& command) {
    const Listing& listing = state.at<Listing>(block.listing);
    const ledger::BlockTerms terms =
        command.quote ? *command.quote->block : terms_of(state, order, listing, command.starts_at);
    Reservation row;
    row.renter = order.organization;
    row.seller = listing.organization;
    row.host = listing.host;
    row.listing = listing.id;
    row.cards = block.cards;
    row.starts_at = command.starts_at;
    row.ends_at = command.starts_at + order.term;
    row.price = price_of(order, listing);
    row.storage_price = storage_price_of(order, listing);
    row.stored_gib_max = order.stored_gib_max;
    row.egress_price = egress_price_of(order, listing);
    row.egress_gib = order.egress_gib;
    row.fee_ppm = fee_of(order, state.settings());
    row.reclaim_notice = listing.reclaim_notice;
    row.end_use = order.end_use;
    row.cancel_free_until = terms.cancel_free_until;
    row.cancel_kept_ppm = terms.cancel_kept_ppm;
    row.penalty_ppm = terms.penalty_ppm;
    row.deposit = std::min(deposit_of(state.rules(), row), terms.deposit);
    row.quote = order.quote;
    row.booked_at = order.placed_at;
    return row;
}

/// The bond of a reservation that is being made. Nobody posts one to itself. False when the seller cannot
/// cover it: a quote may ask for more than what a search passes over.
bool choose_bond(const State& state, Reservation& row) {
    if (row.seller == row.renter) return true;
    const Micros wanted = penalty_of(row, row.starts_at);
    const auto source = bond_source(state, row.seller, wanted);
    row.bond = wanted;
    row.bond_from = source.value_or(AccountKind::available);
    return source.has_value();
}

Error no_block() {
    return refuse(ErrorCode::no_match,
                  "No committed listing has such a block free: choose another time, relax a requirement, "
                  "or raise the price limit.");
}

void write_reservation(Transaction& tx, const Reservation& row) {
    const State& state = tx.state();
    tx.insert(row, "reservation.booked");
    for (const CardId card : row.cards)
        tx.insert(Booking{tx.make_id<BookingId>(), card, row.renter, row.id, row.starts_at, row.ends_at, 1},
                  {});
    tx.transfer(state.account(row.renter, AccountKind::available),
                state.account(row.renter, AccountKind::held), row.deposit, TransferReason::reserve, row.id);
    tx.transfer(state.account(row.seller, row.bond_from), state.account(row.seller, AccountKind::held),
                row.bond, TransferReason::bond, row.id);
}

/// The renter's own money goes back, less what the stated terms keep.
void give_up(Transaction& tx, Reservation row) {
    const State& state = tx.state();
    const bool is_free = tx.now() < row.cancel_free_until;
    const Micros kept = is_free ? Micros(0) : part_of(row.deposit, row.cancel_kept_ppm);
    const Micros fee = ledger::fee_of(kept, row.fee_ppm);
    remove_bookings(tx, row.id);
    release_deposit(tx, row);
    release_bond(tx, row);
    const auto& from = state.account(row.renter, AccountKind::available);
    tx.transfer(from, state.account(row.seller, AccountKind::earned), kept - fee, TransferReason::kept,
                row.id);
    tx.transfer(state.account(row.renter, AccountKind::available), state.at<ledger::Account>(platform_fees),
                fee, TransferReason::kept_fee, row.id);
    row.kept = kept;
    row.state = ReservationState::cancelled;
    row.reason = ReservationReason::cancelled_by_renter;
    tx.update(std::move(row), "reservation.cancelled", name_of(ReservationReason::cancelled_by_renter));
}

void break_it(Transaction& tx, Reservation row) {
    const State& state = tx.state();
    remove_bookings(tx, row.id);
    release_deposit(tx, row);
    row.penalty = penalty_of(row, row.starts_at);
    tx.transfer(state.account(row.seller, AccountKind::held),
                state.account(row.renter, AccountKind::available), row.penalty, TransferReason::penalty,
                row.id);
    row.bond = row.bond - row.penalty;
    release_bond(tx, row);
    row.state = ReservationState::broken;
    row.reason = ReservationReason::broken_by_seller;
    tx.update(std::move(row), "reservation.broken", name_of(ReservationReason::broken_by_seller));
}

}  // namespace

ledger::Micros price_of_block(const Reservation& row) {
    return ledger::cost_ceiling({row.price, thousandths_of(row)}, row.ends_at - row.starts_at);
}

ledger::Micros penalty_of(const Reservation& row, Time from) {
    const Millis rest = row.ends_at - std::max(from, row.starts_at);
    if (rest.count <= 0) return Micros(0);
    const Micros whole =
        part_of(ledger::cost_ceiling({row.price, thousandths_of(row)}, rest), row.penalty_ppm);
    const bool is_booked = row.bond.count > 0 || !row.id.is_nil();
    return is_booked ? std::min(whole, row.bond) : whole;
}

ledger::Micros deposit_of(const Rules& rules, const Reservation& row) {
    Lease lease;
    lease.price = row.price;
    lease.thousandths = thousandths_of(row);
    lease.term = row.ends_at - row.starts_at;
    lease.reclaim_notice = row.reclaim_notice;
    return hold_wanted(rules, lease, row.price);
}

ledger::BlockTerms terms_of(const State& state, const Order& order, const Listing& listing,
                            Time starts_at) {
    const Rules& rules = state.rules();
    Reservation block;
    block.cards.resize(static_cast<std::size_t>(order.count));
    block.starts_at = starts_at;
    block.ends_at = starts_at + order.term;
    block.price = price_of(order, listing);
    block.reclaim_notice = listing.reclaim_notice;
    block.penalty_ppm = rules.penalty_ppm;
    ledger::BlockTerms terms;
    terms.starts_at = starts_at;
    terms.deposit = deposit_of(rules, block);
    terms.cancel_free_until = starts_at - rules.cancel_free;
    terms.cancel_kept = part_of(terms.deposit, rules.cancel_kept_ppm);
    terms.cancel_kept_ppm = rules.cancel_kept_ppm;
    terms.penalty = listing.organization == order.organization ? Micros(0) : penalty_of(block, starts_at);
    terms.penalty_ppm = rules.penalty_ppm;
    return terms;
}

void release_bond(Transaction& tx, Reservation& row) {
    const State& state = tx.state();
    tx.transfer(state.account(row.seller, AccountKind::held), state.account(row.seller, row.bond_from),
                row.bond, TransferReason::unbond, row.id);
    row.bond = Micros(0);
}

void release_deposit(Transaction& tx, Reservation& row) {
    const State& state = tx.state();
    tx.transfer(state.account(row.renter, AccountKind::held),
                state.account(row.renter, AccountKind::available), row.deposit, TransferReason::unreserve,
                row.id);
    row.deposit = Micros(0);
}

void remove_bookings(Transaction& tx, ReservationId id) {
    const std::vector<CardId> cards = tx.state().at<Reservation>(id).cards;
    for (const CardId card : cards) {
        const std::set<State::BookedSpan> spans = tx.state().bookings_of(card);
        for (const auto& [start, booking] : spans) {
            const Booking row = tx.state().at<Booking>(booking);
            if (row.reservation == id) tx.remove(row, "booking.released");
        }
    }
}

Result<Outcome> handle(Transaction& tx, const Reserve& command) {
    if (const auto allowed = check_reserve(tx, command); !allowed) return allowed.error();
    const State& state = tx.state();
    Order order = order_for(tx, command);
    std::optional<ListingId> only;
    if (command.quote) {
        if (const auto good = check_quote(order, *command.quote, command.starts_at, tx.now()); !good)
            return good.error();
        put_under(order, *command.quote);
        only = command.quote->hosts.front().listing;
    }
    const auto block = find_block(state, order, command.starts_at, tx.now(), only);
    if (!block) return no_block();
    Reservation row = reservation_for(state, order, *block, command);
    if (!choose_bond(state, row)) return no_block();
    if (row.deposit.count > 0) {
        const auto funded =
            ledger::check_transfer(state.account(row.renter, AccountKind::available),
                                   state.account(row.renter, AccountKind::held), row.deposit);
        if (!funded) return funded.error();
    }

    row.id = tx.make_id<ReservationId>();
    write_reservation(tx, row);
    return Outcome(state.at<Reservation>(row.id));
}

Result<Outcome> handle(Transaction& tx, const CancelReservation& command) {
    const auto found = visible(tx, command.reservation);
    if (!found) return found.error();
    const Reservation row = **found;
    if (row.state != ReservationState::booked)
        return refuse(ErrorCode::wrong_state,
                      row.state == ReservationState::started
                          ? std::string("The reservation has started: end its lease instead.")
                          : fmt::format("The reservation is {} already.", name_of(row.state)));
    const bool is_renter = row.renter == tx.context().caller.organization;
    if (!is_renter && !command.breach)
        return refuse(
            ErrorCode::committed,
            fmt::format("The block is promised to a renter: breaking the promise costs {} micros, "
                        "which the renter gets. Repeat it with breach: true to go on.",
                        penalty_of(row, row.starts_at).count),
            "/breach");

    if (is_renter)
        give_up(tx, row);
    else
        break_it(tx, row);
    return Outcome(tx.state().at<Reservation>(row.id));
}

}  // namespace fallow::market
