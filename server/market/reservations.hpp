// The life of a reservation. Money: the renter's deposit and the seller's bond are held from the booking
// on.
//
// | what happens                     | the renter                         | the seller                    |
// |----------------------------------|------------------------------------|-------------------------------|
// | the start                        | the deposit becomes the lease's    | bond stays held               |
// |                                  | first hold                         |                               |
// | cancelled in time                | deposit back                       | bond back                     |
// | cancelled later, or never used   | a part of the deposit is kept      | gets that part, less the fee  |
// | host or cards not there          | deposit back, and the penalty      | pays the penalty              |
// | the seller breaks it, or the     | pays for proved time alone, and    | pays the penalty for the rest |
// | host is lost within it           | gets the penalty                   | of the block                  |
// | the operator freezes a party, or | deposit back                       | bond back                     |
// | the market stands still          |                                    |                               |
//
// The penalty is a stated part of the price of what is not delivered.
#pragma once

#include <optional>

#include "base/result.hpp"
#include "market/bookings.hpp"
#include "market/commands.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// The price of the reservation's whole block, rounded up.
[[nodiscard]] ledger::Micros price_of_block(const Reservation& reservation);
/// What its seller owes for not delivering it from `from` on; never more than the bond, once there is one.
[[nodiscard]] ledger::Micros penalty_of(const Reservation& reservation, Time from);
/// What is held of the renter until the start: the price of the window that a lease's hold covers.
[[nodiscard]] ledger::Micros deposit_of(const Rules& rules, const Reservation& reservation);

/// The terms of a block that could be reserved now.
[[nodiscard]] ledger::BlockTerms terms_of(const State& state, const Order& order, const Listing& listing,
                                          Time starts_at);

/// Gives a bond or what is left of it back.
void release_bond(Transaction& tx, Reservation& reservation);
void release_deposit(Transaction& tx, Reservation& reservation);
void remove_bookings(Transaction& tx, ReservationId reservation);

/// Its start or its end has come.
void on_reservation_due(Transaction& tx, ReservationId id);

/// A lease has ended whose hold of `given_back` its renter has again: if it was a reserved block, that is
/// over too.
void settle_reserved(Transaction& tx, const Lease& lease, ledger::Micros given_back);

/// What a seller pays for taking a live lease's cards back now; nothing when it may do that freely.
[[nodiscard]] std::optional<ledger::Micros> penalty_for_reclaim(const State& state, const Lease& lease,
                                                                Time now);
/// insufficient_funds when the seller cannot pay it.
[[nodiscard]] Status check_penalty(const State& state, const Lease& lease, ledger::Micros penalty);
void pay_penalty(Transaction& tx, const Lease& lease, ledger::Micros penalty);

}  // namespace fallow::market
