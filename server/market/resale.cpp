// Resale: the holder of a reservation offers its time, or the last part of it, and another organization
// buys.
#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/reservations.hpp"

namespace fallow::market {
namespace {

using ledger::AccountKind;
using ledger::Micros;
using ledger::TransferReason;

Status check_offered_part(const State& state, const Reservation& row, Time from, Time now) {
    const auto wrong = [](std::string detail) {
        return refuse(ErrorCode::invalid_field, std::move(detail), "/from");
    };
    if (from < row.starts_at || from >= row.ends_at) return wrong("Give a moment within the reservation.");
    if (from <= now) return wrong("Give a moment that is still to come.");
    if ((row.ends_at - from).count < limits::term_ms_min)
        return wrong(fmt::format("What is offered lasts {} ms at least.", limits::term_ms_min));
    const Millis gap = turnaround(state.rules());
    if (from != row.starts_at && (from - row.starts_at - gap).count < limits::term_ms_min)
        return wrong(
            fmt::format("Between you and the next renter lie {} ms, in which the cards are cleaned; "
                        "before them {} ms must be left to you, or offer all of it.",
                        gap.count, limits::term_ms_min));
    return Done{};
}

/// The part that changes hands, as its buyer will have it.
Reservation part_for(const State& state, const Reservation& row, OrganizationId buyer, Time now) {
    Reservation part = row;
    part.id = {};
    part.renter = buyer;
    part.starts_at = *row.offer_from;
    part.cancel_free_until = part.starts_at - (row.starts_at - row.cancel_free_until);
    part.bond = Micros(0);
    part.quote.reset();
    part.bought_from = row.id;
    part.offer_price.reset();
    part.offer_from.reset();
    part.booked_at = now;
    part.version = 1;
    part.deposit = deposit_of(state.rules(), part);
    return part;
}

/// What is left to the one who sells a part.
Reservation rest_of(const State& state, const Reservation& row) {
    Reservation rest = row;
    rest.offer_price.reset();
    rest.offer_from.reset();
    if (*row.offer_from == row.starts_at) {
        rest.state = ReservationState::sold;
        rest.reason = ReservationReason::resold;
        rest.deposit = rest.bond = Micros(0);
        return rest;
    }
    rest.ends_at = *row.offer_from - turnaround(state.rules());
    rest.deposit = std::min(row.deposit, deposit_of(state.rules(), rest));
    rest.bond = penalty_of(rest, rest.starts_at);
    return rest;
}

/// Each card's booking gets a new owner, or ends earlier and is followed by one of the buyer's.
void hand_over_bookings(Transaction& tx, const Reservation& rest, const Reservation& part) {
    std::vector<Booking> bookings;
    for (const CardId card : rest.cards)
        for (const auto& [start, id] : tx.state().bookings_of(card)) {
            const Booking& booking = tx.state().at<Booking>(id);
            if (booking.reservation == rest.id) bookings.push_back(booking);
        }
    for (Booking& booking : bookings) {
        if (rest.state == ReservationState::sold) {
            booking.reservation = part.id;
            booking.organization = part.renter;
            tx.update(std::move(booking), {});
            continue;
        }
        const CardId card = booking.card;
        booking.ends_at = rest.ends_at;
        tx.update(std::move(booking), {});
        tx.insert(
            Booking{tx.make_id<BookingId>(), card, part.renter, part.id, part.starts_at, part.ends_at, 1},
            {});
    }
}

void move_money(Transaction& tx, const Reservation& row, const Reservation& rest, const Reservation& part,
                Micros price) {
    const State& state = tx.state();
    const auto account = [&](OrganizationId organization, AccountKind kind) -> const ledger::Account& {
        return state.account(organization, kind);
    };
    tx.transfer(account(part.renter, AccountKind::available), account(row.renter, AccountKind::available),
                price, TransferReason::sale, part.id);
    tx.transfer(account(part.renter, AccountKind::available), account(part.renter, AccountKind::held),
                part.deposit, TransferReason::reserve, part.id);
    tx.transfer(account(row.renter, AccountKind::held), account(row.renter, AccountKind::available),
                row.deposit - rest.deposit, TransferReason::unreserve, row.id);
    tx.transfer(account(row.seller, AccountKind::held), account(row.seller, row.bond_from),
                row.bond - rest.bond, TransferReason::unbond, row.id);
    tx.transfer(account(row.seller, row.bond_from), account(row.seller, AccountKind::held), part.bond,
                TransferReason::bond, part.id);
}

Status check_buyer(const State& state, const Reservation& row, OrganizationId buyer, Time now) {
    if (const auto open = check_may_trade(state, buyer); !open) return open;
    if (row.state != ReservationState::booked || !row.offer_price || *row.offer_from <= now)
        return refuse(ErrorCode::wrong_state, "The reservation is not offered any more.");
    if (buyer == row.renter || buyer == row.seller)
        return refuse(ErrorCode::wrong_state,
                      "Neither its holder nor the cards' owner can buy a reservation: the one takes the "
                      "offer back, the other breaks the promise.");
    if (state.open_reservations(buyer) >= limits::open_reservations_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("An organization has at most {} open reservations.",
                                  limits::open_reservations_per_organization_max));
    return Done{};
}

}  // namespace

Result<Outcome> handle(Transaction& tx, const OfferReservation& command) {
    const auto found = visible(tx, command.reservation);
    if (!found) return found.error();
    Reservation row = **found;
    if (row.renter != tx.context().caller.organization)
        return refuse(ErrorCode::not_found, fmt::format("You hold no {}.", row.id.text()));
    if (row.state != ReservationState::booked)
        return refuse(ErrorCode::wrong_state,
                      fmt::format("The reservation is {}: only what has not begun can be offered.",
                                  name_of(row.state)));
    const Time from = command.from.value_or(row.starts_at);
    if (command.price)
        if (const auto fine = check_offered_part(tx.state(), row, from, tx.now()); !fine)
            return fine.error();

    row.offer_price = command.price;
    row.offer_from = command.price ? std::optional(from) : std::nullopt;
    const ReservationId id = row.id;
    tx.update(std::move(row), command.price ? "reservation.offered" : "reservation.offer_ended");
    return Outcome(tx.state().at<Reservation>(id));
}

Result<Outcome> handle(Transaction& tx, const BuyReservation& command) {
    const State& state = tx.state();
    const OrganizationId buyer = tx.context().caller.organization;
    const Reservation* found = state.find<Reservation>(command.reservation);
    const bool is_visible =
        found != nullptr && (found->offer_price || found->renter == buyer || found->seller == buyer);
    if (!is_visible)
        return refuse(ErrorCode::not_found,
                      fmt::format("There is no {} here.", command.reservation.text()));
    const Reservation row = *found;
    if (const auto fine = check_buyer(state, row, buyer, tx.now()); !fine) return fine.error();
    const Micros price = *row.offer_price;
    if (price > command.price_max)
        return refuse(ErrorCode::no_match, fmt::format("It is offered for {} micros now.", price.count),
                      "/price_max_micros");
    Reservation part = part_for(state, row, buyer, tx.now());
    const Micros needed = price + part.deposit;
    if (needed.count > 0) {
        const auto funded = ledger::check_transfer(state.account(buyer, AccountKind::available),
                                                   state.account(buyer, AccountKind::held), needed);
        if (!funded) return funded.error();
    }

    const Reservation rest = rest_of(state, row);
    part.bond = std::min(penalty_of(part, part.starts_at), row.bond - rest.bond);
    part.id = tx.make_id<ReservationId>();
    tx.insert(part, "reservation.booked", name_of(ReservationReason::resold));
    hand_over_bookings(tx, rest, part);
    move_money(tx, row, rest, part, price);
    tx.update(rest, "reservation.sold", name_of(ReservationReason::resold));
    return Outcome(state.at<Reservation>(part.id));
}

}  // namespace fallow::market
