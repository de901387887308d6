#include <array>
#include <string_view>

#include "checks.hpp"
#include "text.hpp"

namespace fallow_proof {
namespace {

/// What money a reason moves: between which kinds of account, inside one organization or not, for a lease
/// or not.
struct Shape {
    std::string_view reason;
    std::string_view from, to;
    bool inside_one_organization;
    bool for_lease;
};

constexpr std::array<Shape, 7> shapes{{
    {"deposit", "external", "available", false, false},
    {"withdrawal", "available", "external", false, false},
    {"withdrawal", "earned", "external", false, false},
    {"hold", "available", "held", true, true},
    {"release", "held", "available", true, true},
    {"charge", "held", "earned", false, true},
    {"fee", "held", "fees", false, true},
}};

bool has_known_shape(const Transfer& transfer, const Account& debit, const Account& credit) {
    for (const Shape& shape : shapes) {
        if (shape.reason != transfer.reason || shape.from != debit.kind || shape.to != credit.kind)
            continue;
        if (shape.inside_one_organization && debit.organization != credit.organization) continue;
        if (shape.for_lease == transfer.lease.has_value()) return true;
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

    /// What an organization has held is what its leases hold.
    void check_held_accounts() {
        std::map<std::string, Wide> by_renter;
        for (const auto& [id, lease] : ledger_.leases)
            by_renter[lease.renter] += lease.held;
        for (const auto& [id, account] : ledger_.accounts) {
            if (account.kind != "held") continue;
            const auto found = by_renter.find(account.organization);
            const Wide expected = found == by_renter.end() ? 0 : found->second;
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
