// A reservation: a block of future time for some cards of a committed listing, at a price that is locked.
// Its bookings, one a card, are what keeps others out; the reservation is what was agreed and what came of
// it.
#pragma once

#include <optional>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "ledger/account.hpp"
#include "ledger/money.hpp"
#include "market/order.hpp"

namespace fallow::market {

/// booked → started → ended; or booked → cancelled, broken, failed, sold.
FALLOW_ENUM(ReservationState, booked, started, ended, cancelled, broken, failed, sold)

/// Why a reservation is where it is. failed: host_absent and cards_absent are the seller's doing,
/// policy_revoked is the operator's, missed the market's own, which stood still for the whole block. ended:
/// what became of its lease.
FALLOW_ENUM(ReservationReason, cancelled_by_renter, broken_by_seller, host_absent, cards_absent,
            policy_revoked, missed, resold, used, never_used)

struct Reservation {
    static constexpr std::string_view table = "reservations";
    ReservationId id;
    OrganizationId renter;
    OrganizationId seller;
    HostId host;
    ListingId listing;
    std::vector<CardId> cards;
    ReservationState state = ReservationState::booked;
    std::optional<ReservationReason> reason;
    Time starts_at;
    Time ends_at;
    ledger::Price price;
    std::int32_t fee_ppm = 0;
    Millis reclaim_notice;
    std::optional<EndUse> end_use;
    Time cancel_free_until;
    std::int32_t cancel_kept_ppm = 0;  ///< of the deposit, when cancelled later than that, or never used
    std::int32_t penalty_ppm = 0;      ///< of the price of what a seller does not deliver
    ledger::Micros deposit;            ///< held of the renter until the start
    ledger::Micros bond;               ///< held of the seller until the end, for the penalty
    ledger::AccountKind bond_from = ledger::AccountKind::available;
    ledger::Micros kept;     ///< paid by the renter for not coming
    ledger::Micros penalty;  ///< paid by the seller
    std::optional<QuoteId> quote;
    std::optional<LeaseId> lease;
    std::optional<ReservationId> bought_from;
    std::optional<ledger::Micros> offer_price;  ///< offered to others, from offer_from to the end
    std::optional<Time> offer_from;
    Time booked_at;
    std::int64_t version = 1;
    ledger::Micros storage_price;                ///< of a GiB for a month; locked like the price
    std::optional<std::int64_t> stored_gib_max;  ///< of the quote
    ledger::Micros egress_price;                 ///< of a GiB sent; locked like the price
    std::int64_t egress_gib = 0;                 ///< that may be sent: of the quote

    [[nodiscard]] bool is_open() const {
        return state == ReservationState::booked || state == ReservationState::started;
    }

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.renter);
        visit.field("seller_id", row.seller);
        visit.field("host_id", row.host);
        visit.field("listing_id", row.listing);
        visit.field("card_ids", row.cards);
        visit.field("state", row.state);
        visit.field("reason", row.reason);
        visit.field("starts_at", row.starts_at);
        visit.field("ends_at", row.ends_at);
        visit.field("price_micros_per_hour", row.price);
        visit.field("fee_ppm", row.fee_ppm);
        visit.field("reclaim_notice_ms", row.reclaim_notice);
        visit.field("end_use", row.end_use);
        visit.field("cancel_free_until", row.cancel_free_until);
        visit.field("cancel_kept_ppm", row.cancel_kept_ppm);
        visit.field("penalty_ppm", row.penalty_ppm);
        visit.field("deposit_micros", row.deposit);
        visit.field("bond_micros", row.bond);
        visit.field("bond_from", row.bond_from);
        visit.field("kept_micros", row.kept);
        visit.field("penalty_micros", row.penalty);
        visit.field("quote_id", row.quote);
        visit.field("lease_id", row.lease);
        visit.field("bought_from", row.bought_from);
        visit.field("offer_micros", row.offer_price);
        visit.field("offer_from", row.offer_from);
        visit.field("booked_at", row.booked_at);
        visit.field("version", row.version);
        visit.field("storage_micros_per_gib_month", row.storage_price);
        visit.field("stored_gib_max", row.stored_gib_max);
        visit.field("egress_micros_per_gib", row.egress_price);
        visit.field("egress_gib", row.egress_gib);
    }
};

/// Reserved time of one card. Two of one card never overlap: the database has a constraint of its own.
struct Booking {
    static constexpr std::string_view table = "bookings";
    BookingId id;
    CardId card;
    OrganizationId organization;  ///< the renter
    ReservationId reservation;
    Time starts_at;
    Time ends_at;
    std::int64_t version = 1;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("card_id", row.card);
        visit.field("organization_id", row.organization);
        visit.field("reservation_id", row.reservation);
        visit.field("starts_at", row.starts_at);
        visit.field("ends_at", row.ends_at);
        visit.field("version", row.version);
    }
};

}  // namespace fallow::market
