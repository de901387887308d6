#include <array>
#include <string_view>

#include "checks.hpp"
#include "text.hpp"

namespace fallow_proof {
namespace {

enum class For { nothing, lease, reservation };

/// What money a reason moves: between which kinds of account, inside one organization or not, and for what.
struct Shape {
    std::string_view reason;
    std::string_view from, to;
    bool inside_one_organization;
    For what;
};

constexpr std::array<Shape, 19> shapes{{
    {"deposit", "external", "available", false, For::nothing},
    {"withdrawal", "available", "external", false, For::nothing},
    {"withdrawal", "earned", "external", false, For::nothing},
    {"hold", "available", "held", true, For::lease},
    {"release", "held", "available", true, For::lease},
    {"charge", "held", "earned", false, For::lease},
    {"fee", "held", "fees", false, For::lease},
    {"penalty", "earned", "available", false, For::lease},
    {"penalty", "available", "available", false, For::lease},
    {"penalty", "held", "available", false, For::reservation},
    {"reserve", "available", "held", true, For::reservation},
    {"unreserve", "held", "available", true, For::reservation},
    {"kept", "available", "earned", false, For::reservation},
    {"kept_fee", "available", "fees", false, For::reservation},
    {"bond", "available", "held", true, For::reservation},
    {"bond", "earned", "held", true, For::reservation},
    {"unbond", "held", "available", true, For::reservation},
    {"unbond", "held", "earned", true, For::reservation},
    {"sale", "available", "available", false, For::reservation},
}};

For what_for(const Transfer& transfer) {
    if (transfer.lease) return For::lease;
    return transfer.reservation ? For::reservation : For::nothing;
}

bool has_known_shape(const Transfer& transfer, const Account& debit, const Account& credit) {
    for (const Shape& shape : shapes) {
        if (shape.reason != transfer.reason || shape.from != debit.kind || shape.to != credit.kind)
            continue;
        if (shape.inside_one_organization && debit.organization != credit.organization) continue;
        if (shape.what == what_for(transfer)) return true;
    }
    return false;
}

class TransferCheck {
  public:
    TransferCheck(Ledger& ledger, const Report& report) : ledger_(ledger), report_(report) {}

    void add(const Transfer& transfer) {
        ++ledger_.transfers;
        const std::string name = id_text("transfer", transfer.id);
        if (transfer.amount <= 0)
            report_({"transfer_amount", name, "above 0", std::to_string(transfer.amount)});
        if (transfer.debit == transfer.credit)
            report_(
                {"transfer_accounts", name, "two accounts", id_text("account", transfer.debit) + " twice"});
        sums_[transfer.debit] -= transfer.amount;
        sums_[transfer.credit] += transfer.amount;
        const Account* debit = account_of(name, transfer.debit, transfer.debit_organization);
        const Account* credit = account_of(name, transfer.credit, transfer.credit_organization);
        if (debit != nullptr && credit != nullptr && !has_known_shape(transfer, *debit, *credit))
            report_({"transfer_shape", name, "a move that " + transfer.reason + " makes",
                     debit->kind + " to " + credit->kind +
                         (transfer.lease ? " for a lease" : " for no lease")});
        if (transfer.lease) add_to_lease(name, transfer);
        if (transfer.reservation) add_to_reservation(name, transfer);
    }

    void finish() {
        Wide sum = 0;
        Wide fees = 0;
        for (const auto& [id, account] : ledger_.accounts) {
            const std::string name = id_text("account", id);
            sum += account.balance;
            if (account.kind == "fees") fees += account.balance;
            const auto found = sums_.find(id);
            const Wide expected = found == sums_.end() ? 0 : found->second;
            if (expected != account.balance)
                report_({"balance_is_sum_of_transfers", name, decimal(expected), decimal(account.balance)});
            if (account.kind != "external" && account.balance < 0)
                report_({"balance_floor", name, "0 or more", decimal(account.balance)});
        }
        if (sum != 0) report_({"sum_of_balances", "ledger", "0", decimal(sum)});
        Wide charged_fees = 0;
        for (const auto& [id, lease] : ledger_.leases)
            charged_fees += lease.fee;
        for (const auto& [id, reservation] : ledger_.reservations)
            charged_fees += reservation.kept_fees;
        if (fees != charged_fees)
            report_({"fee_total", "fees account", decimal(charged_fees), decimal(fees)});
        check_held_accounts();
    }

  private:
    const Account* account_of(const std::string& transfer, const std::string& id,
                              const std::string& organization) {
        const auto found = ledger_.accounts.find(id);
        if (found == ledger_.accounts.end()) {
            report_({"transfer_account_exists", transfer, "an account",
                     id_text("account", id) + " is missing"});
            return nullptr;
        }
        if (found->second.organization != organization)
            report_({"transfer_organization", transfer, id_text("org", found->second.organization),
                     id_text("org", organization)});
        return &found->second;
    }

    void add_to_lease(const std::string& name, const Transfer& transfer) {
        const auto found = ledger_.leases.find(*transfer.lease);
        if (found == ledger_.leases.end()) {
            report_({"transfer_lease_exists", name, "a lease",
                     id_text("lease", *transfer.lease) + " is missing"});
            return;
        }
        Lease& lease = found->second;
        if (transfer.reason == "penalty") return expect_parties(name, transfer, lease.seller, lease.renter);
        if (transfer.debit_organization != lease.renter)
            report_({"transfer_party", name, id_text("org", lease.renter) + " pays",
                     id_text("org", transfer.debit_organization)});
        if (transfer.reason == "charge" && transfer.credit_organization != lease.seller)
            report_({"transfer_party", name, id_text("org", lease.seller) + " earns",
                     id_text("org", transfer.credit_organization)});
        if (transfer.reason == "hold") lease.holds += transfer.amount;
        if (transfer.reason == "release") lease.releases += transfer.amount;
        if (transfer.reason == "charge") lease.charges += transfer.amount;
        if (transfer.reason == "fee") lease.fees += transfer.amount;
    }

    /// Nothing is said of a party that may be anybody: empty.
    void expect_parties(const std::string& name, const Transfer& transfer, const std::string& payer,
                        const std::string& payee) {
        if (!payer.empty() && transfer.debit_organization != payer)
            report_({"transfer_party", name, id_text("org", payer) + " pays",
                     id_text("org", transfer.debit_organization)});
        if (!payee.empty() && transfer.credit_organization != payee)
            report_({"transfer_party", name, id_text("org", payee) + " receives",
                     id_text("org", transfer.credit_organization)});
    }

    void add_to_reservation(const std::string& name, const Transfer& transfer) {
        const auto found = ledger_.reservations.find(*transfer.reservation);
        if (found == ledger_.reservations.end()) {
            report_({"transfer_reservation_exists", name, "a reservation",
                     id_text("reservation", *transfer.reservation) + " is missing"});
            return;
        }
        Reservation& row = found->second;
        const std::string& reason = transfer.reason;
        if (reason == "bond" || reason == "unbond")
            expect_parties(name, transfer, row.seller, row.seller);
        else if (reason == "penalty")
            expect_parties(name, transfer, row.seller, row.renter);
        else
            expect_parties(name, transfer, row.renter, reason == "kept" ? row.seller : std::string());
        if (reason == "reserve") row.reserves += transfer.amount;
        if (reason == "unreserve") row.unreserves += transfer.amount;
        if (reason == "kept") row.kepts += transfer.amount;
        if (reason == "kept_fee") row.kept_fees += transfer.amount;
        if (reason == "bond") row.bonds += transfer.amount;
        if (reason == "unbond") row.unbonds += transfer.amount;
        if (reason == "penalty") row.penalties += transfer.amount;
    }

    /// What an organization has held is what its leases and reservations hold.
    void check_held_accounts() {
        std::map<std::string, Wide> by_organization;
        for (const auto& [id, lease] : ledger_.leases)
            by_organization[lease.renter] += lease.held;
        for (const auto& [id, reservation] : ledger_.reservations) {
            by_organization[reservation.renter] += reservation.deposit;
            by_organization[reservation.seller] += reservation.bond;
        }
        for (const auto& [id, account] : ledger_.accounts) {
            if (account.kind != "held") continue;
            const auto found = by_organization.find(account.organization);
            const Wide expected = found == by_organization.end() ? 0 : found->second;
            if (expected != account.balance)
                report_({"held_is_sum_of_leases", id_text("account", id), decimal(expected),
                         decimal(account.balance)});
        }
    }

    Ledger& ledger_;
    const Report& report_;
    std::unordered_map<std::string, Wide> sums_;
};

}  // namespace

void check_transfers(Ledger& ledger, Source& source, const Report& report) {
    TransferCheck check(ledger, report);
    source.each_transfer([&](const Transfer& transfer) { check.add(transfer); });
    check.finish();
}

}  // namespace fallow_proof
