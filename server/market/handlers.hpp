// The decisions, one function a command. Each checks everything first; from its first write on it must
// succeed.
#pragma once

#include "base/result.hpp"
#include "market/commands.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

[[nodiscard]] Result<Outcome> handle(Transaction& tx, const CreateOrganization& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const Deposit& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const Withdraw& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const SetFee& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const CreateFreeze& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const RemoveFreeze& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const SetPolicy& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const CreateApproval& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const RemoveApproval& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const ApproveOrder& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const EnrollHost& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const ChangeHost& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const AddMaintenance& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const RemoveMaintenance& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const CreateListing& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const UpdateListing& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const ChangeListings& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const WithdrawListing& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const ReclaimLease& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const MakeQuote& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const PlaceOrder& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const Reserve& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const CancelReservation& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const OfferReservation& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const BuyReservation& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const CancelOrder& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const ChangeBid& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const SetSpotStep& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const EndLease& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const AttachJob& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const CancelJob& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const ReportInventory& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const AgentReport& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const ReportUsage& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const HostLost& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const HostBack& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const HostMoved& command);
[[nodiscard]] Result<Outcome> handle(Transaction& tx, const Tick& command);

/// An object as the caller may know it: not_found to a stranger, whatever the reason. Administrators see
/// all.
[[nodiscard]] Result<const Host*> visible(const Transaction& tx, HostId id);
[[nodiscard]] Result<const Listing*> visible(const Transaction& tx, ListingId id);
[[nodiscard]] Result<const Order*> visible(const Transaction& tx, OrderId id);
[[nodiscard]] Result<const Job*> visible(const Transaction& tx, JobId id);
/// To its renter and its seller.
[[nodiscard]] Result<const Reservation*> visible(const Transaction& tx, ReservationId id);
/// The renter's view of a lease, and the seller's.
[[nodiscard]] Result<const Lease*> visible_to_renter(const Transaction& tx, LeaseId id);
[[nodiscard]] Result<const Lease*> visible_to_seller(const Transaction& tx, LeaseId id);

/// frozen when the organization, or the whole market, is; wrong_state for the operator's own organization,
/// which has no accounts to trade with.
[[nodiscard]] Status check_may_trade(const State& state, OrganizationId organization);

/// frozen when an image, by its reference or its digest, is.
[[nodiscard]] Status check_image(const State& state, const std::string& image);

}  // namespace fallow::market
