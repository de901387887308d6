// What the operator does: organizations, money in and out, the fee, freezes.
#include <fmt/format.h>

#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/matching.hpp"

namespace fallow::market {
namespace {

using ledger::AccountKind;
using ledger::TransferReason;

Result<const Organization*> known_organization(const Transaction& tx, OrganizationId id) {
    const Organization* row = tx.state().find<Organization>(id);
    if (row == nullptr || id == platform_organization)
        return refuse(ErrorCode::not_found, fmt::format("There is no {} here.", id.text()),
                      "/organization_id");
    return row;
}

/// Whether a live lease is touched by a freeze.
bool concerns(const State& state, const Freeze& freeze, const Lease& lease) {
    switch (freeze.kind) {
        case FreezeKind::organization:
            return lease.renter.text() == freeze.target || lease.seller.text() == freeze.target;
        case FreezeKind::host:
            return lease.host.text() == freeze.target;
        case FreezeKind::image: {
            const Job* job = lease.job ? state.find<Job>(*lease.job) : nullptr;
            return job != nullptr && image_matches(job->image, freeze.target);
        }
        case FreezeKind::market:
            return false;
    }
    return false;
}

Status check_target(const Transaction& tx, const CreateFreeze& command) {
    const auto unknown = [&](std::string_view what) {
        return refuse(ErrorCode::invalid_field, fmt::format("{} names no {} here.", command.target, what),
                      "/target");
    };
    switch (command.kind) {
        case FreezeKind::organization: {
            const auto id = OrganizationId::parse(command.target);
            if (!id || tx.state().find<Organization>(*id) == nullptr || *id == platform_organization)
                return unknown("organization");
            return Done{};
        }
        case FreezeKind::host: {
            const auto id = HostId::parse(command.target);
            if (!id || tx.state().find<Host>(*id) == nullptr) return unknown("host");
            return Done{};
        }
        case FreezeKind::market:
            if (command.target != tx.state().rules().market) return unknown("market");
            return Done{};
        case FreezeKind::image:
            if (command.target.empty()) return unknown("image");
            return Done{};
    }
    return unknown("object");
}

void set_status(Transaction& tx, const Freeze& freeze, OrganizationStatus status, std::string_view event) {
    if (freeze.kind != FreezeKind::organization) return;
    Organization row = tx.state().at<Organization>(*OrganizationId::parse(freeze.target));
    row.status = status;
    tx.update(std::move(row), event);
}

}  // namespace

Result<Outcome> handle(Transaction& tx, const CreateOrganization& command) {
    if (tx.state().name_taken(command.name))
        return refuse(ErrorCode::name_taken,
                      fmt::format("An organization is named {} already.", command.name), "/name");

    const Organization row{tx.make_id<OrganizationId>(), command.name, command.country,
                           OrganizationStatus::active,   tx.now(),     1};
    tx.insert(row, "organization.created");
    for (const AccountKind kind : {AccountKind::available, AccountKind::held, AccountKind::earned})
        tx.insert(ledger::Account{tx.make_id<AccountId>(), row.id, kind, ledger::Micros(0)}, {});
    return Outcome(row);
}

Result<Outcome> handle(Transaction& tx, const Deposit& command) {
    if (const auto known = known_organization(tx, command.organization); !known) return known.error();
    const auto& from = tx.state().account(platform_organization, AccountKind::external);
    const auto& to = tx.state().account(command.organization, AccountKind::available);
    if (const auto possible = ledger::check_transfer(from, to, command.amount); !possible)
        return possible.error();

    const auto row =
        tx.transfer(from, to, command.amount, TransferReason::deposit, std::nullopt, command.reference);
    match_standing_orders(tx);
    return Outcome(row);
}

Result<Outcome> handle(Transaction& tx, const Withdraw& command) {
    if (const auto known = known_organization(tx, command.organization); !known) return known.error();
    if (command.account != AccountKind::available && command.account != AccountKind::earned)
        return refuse(ErrorCode::invalid_field, "Money leaves from the available or the earned account.",
                      "/account");
    const auto& from = tx.state().account(command.organization, command.account);
    const auto& to = tx.state().account(platform_organization, AccountKind::external);
    if (const auto possible = ledger::check_transfer(from, to, command.amount); !possible)
        return possible.error();

    return Outcome(
        tx.transfer(from, to, command.amount, TransferReason::withdrawal, std::nullopt, command.reference));
}

Result<Outcome> handle(Transaction& tx, const SetFee& command) {
    Settings row = tx.state().settings();
    row.fee_ppm = command.fee_ppm;
    tx.update(row, "settings.changed");
    return Outcome(tx.state().settings());
}

Result<Outcome> handle(Transaction& tx, const CreateFreeze& command) {
    if (const auto known = check_target(tx, command); !known) return known.error();
    if (tx.state().is_frozen(command.kind, command.target))
        return refuse(ErrorCode::wrong_state, fmt::format("{} is frozen already.", command.target),
                      "/target");

    const Freeze freeze{tx.make_id<FreezeId>(),   command.kind, command.target, command.note,
                        tx.context().caller.name, tx.now()};
    tx.insert(freeze, "freeze.created");
    set_status(tx, freeze, OrganizationStatus::frozen, "organization.frozen");
    std::vector<LeaseId> concerned;
    for (const LeaseId id : tx.state().live_leases())
        if (concerns(tx.state(), freeze, tx.state().at<Lease>(id))) concerned.push_back(id);
    for (const LeaseId id : concerned)
        stop_lease(tx, id, EndReason::policy_revoked, tx.state().rules().stop_grace);
    return Outcome(freeze);
}

Result<Outcome> handle(Transaction& tx, const RemoveFreeze& command) {
    const Freeze* row = tx.state().find<Freeze>(command.freeze);
    if (row == nullptr)
        return refuse(ErrorCode::not_found, fmt::format("There is no {} here.", command.freeze.text()));

    const Freeze freeze = *row;
    tx.remove(freeze, "freeze.removed");
    set_status(tx, freeze, OrganizationStatus::active, "organization.unfrozen");
    match_standing_orders(tx);
    return Outcome(Done{});
}

}  // namespace fallow::market
