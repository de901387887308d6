// Accounts and transfers: double entry by shape. A transfer is one row, so it cannot be unbalanced.
#pragma once

#include <optional>
#include <string>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::ledger {

/// external: where deposits come from and payouts go to, the only account that may be below zero.
/// available, held, earned: an organization's money, free, reserved by leases, and received as a seller.
/// fees: the operator's.
FALLOW_ENUM(AccountKind, external, fees, available, held, earned)
/// hold to fee are a lease's; reserve to sale a reservation's; a penalty is of either: reserve and
/// unreserve move the renter's deposit, bond and unbond the seller's, kept and kept_fee pay for a block
/// that the renter gave up too late, penalty for one that the seller did not deliver, sale for one that
/// changed hands.
FALLOW_ENUM(TransferReason, deposit, withdrawal, hold, release, charge, fee, reserve, unreserve, kept,
            kept_fee, bond, unbond, penalty, sale)

struct Account {
    static constexpr std::string_view table = "accounts";
    AccountId id;
    OrganizationId organization;
    AccountKind kind = AccountKind::available;
    Micros balance;  ///< credits minus debits; moved in the database by a trigger over transfers alone

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("kind", row.kind);
        visit.derived("balance_micros", row.balance);
    }
    friend bool operator==(const Account&, const Account&) = default;
};

struct Transfer {
    static constexpr std::string_view table = "transfers";
    TransferId id;
    AccountId debit;   ///< the money leaves this account
    AccountId credit;  ///< and arrives in this one
    OrganizationId debit_organization;
    OrganizationId credit_organization;
    Micros amount;  ///< always above zero
    TransferReason reason = TransferReason::deposit;
    std::optional<LeaseId> lease;
    std::optional<ReservationId> reservation;
    std::optional<std::string> reference;  ///< the operator's own, for deposits and withdrawals
    Time at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("debit_account_id", row.debit);
        visit.field("credit_account_id", row.credit);
        visit.field("debit_organization_id", row.debit_organization);
        visit.field("credit_organization_id", row.credit_organization);
        visit.field("amount_micros", row.amount);
        visit.field("reason", row.reason);
        visit.field("lease_id", row.lease);
        visit.field("reservation_id", row.reservation);
        visit.field("reference", row.reference);
        visit.field("at", row.at);
    }
    friend bool operator==(const Transfer&, const Transfer&) = default;
};

/// The lowest balance an account may have.
[[nodiscard]] Micros floor_of(AccountKind kind);

/// Whether `transfer` may be applied: amount within limits, two different accounts, the debit account stays
/// at or above its floor, no overflow. insufficient_funds names what is missing.
[[nodiscard]] Status check_transfer(const Account& debit, const Account& credit, Micros amount);

}  // namespace fallow::ledger
