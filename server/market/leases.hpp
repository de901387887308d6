// The life of a lease. Only `running` bills. The table of phases, deadlines and who pays:
//
// | phase      | who pays        | who may end it                   | at the deadline |
// |------------|-----------------|----------------------------------|---------------------------------------------------|
// | allocated  | nobody          | renter, owner, operator          | start_timeout: ended; the card waits
// for its host | | preparing  | nobody          | renter, owner, operator, agent   | start_timeout:
// reclaiming                         | | running    | renter, proved  | renter, owner after its notice,  |
// term, funds: stop with grace; end of notice or    | |            | time only       | operator, the job
// itself         | grace: reclaiming                                 | | reclaiming | nobody          |
// agent, when all is scrubbed      | ended; the card waits for its host's report       | | ended      | |
// |                                                   |
#pragma once

#include "base/result.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// Decides that a live lease ends for `reason`. allocated: ended at once. preparing: reclaiming. running:
/// the agent is told to stop and has until now + notice; an earlier deadline that was set before stays.
/// Others: nothing.
void stop_lease(Transaction& tx, LeaseId id, EndReason reason, Millis notice);

/// running or preparing → reclaiming: nothing bills from here on.
void begin_reclaiming(Transaction& tx, LeaseId id, EndReason reason);

/// → ended: gives the rest of the hold back and settles the job. `released` says that the cards are free as
/// well.
void finish_lease(Transaction& tx, LeaseId id, EndReason reason, bool released);

/// A finished lease's cards become free: its agent has reported that container and storage are gone.
void release_cards(Transaction& tx, LeaseId id);

/// Charges what `accepted` (cumulative, within every bound) adds to the lease, and tops its hold up.
void charge(Transaction& tx, Lease& lease, Millis accepted);

/// What must be held before a lease may start, or to go on: the price of the next window, at most of the
/// rest of its term.
[[nodiscard]] ledger::Micros hold_wanted(const Rules& rules, const Lease& lease);

/// Until when the held money lasts, counted from `now`.
[[nodiscard]] Time paid_until(const Lease& lease, Time now);

/// Carries out what a lease's passed deadline calls for.
void on_deadline(Transaction& tx, LeaseId id);

/// Whether `image` is the frozen reference itself or carries the frozen digest ("…@sha256:…").
[[nodiscard]] bool image_matches(const std::string& image, const std::string& target);

}  // namespace fallow::market
