// The life of a lease. Only `running` bills. The table of phases, deadlines and who pays:
//
// | phase      | pays   | who may end it                         | at the deadline                        |
// |------------|--------|----------------------------------------|----------------------------------------|
// | allocated  | nobody | renter, owner, operator                | start_timeout: ended                   |
// | preparing  | nobody | renter, owner, operator, agent         | start_timeout: reclaiming              |
// | running    | renter | renter, owner (notice), operator, job  | term, money: stop with grace; then, or |
// |            |        |                                        | when a notice is over: reclaiming      |
// | reclaiming | nobody | agent, when all is scrubbed            | ended                                  |
// | ended      | nobody |                                        |                                        |
//
// A running lease pays for proved time alone. The cards of an ended lease wait for their host's report that
// the container and its storage are gone. A host's silence ends its leases at once as host_lost; a rental
// without a job of its own that runs is given ten minutes.
#pragma once

#include "base/result.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

/// Decides that a live lease ends for `reason`. allocated: ended at once. preparing: reclaiming. running:
/// the agent is told to stop and has until now + notice, less where the term or the money ends before; an
/// earlier deadline that was set before stays. reclaiming, ended: nothing, but that a cancellation is
/// remembered.
void stop_lease(Transaction& tx, LeaseId id, EndReason reason, Millis notice);

/// Ends the other members of a lease's gang for its reason: a gang goes on whole or not at all. Those that
/// are ending already stay as they are, but that a cancellation is remembered.
void stop_others(Transaction& tx, const Lease& member, EndReason reason, Millis notice);

/// running or preparing → reclaiming: nothing bills from here on.
void begin_reclaiming(Transaction& tx, LeaseId id, EndReason reason);

/// → ended: gives the rest of the hold back and settles the job. `released` says that the cards are free as
/// well.
void finish_lease(Transaction& tx, LeaseId id, EndReason reason, bool released);

/// A finished lease's cards become free: its agent has reported that container and storage are gone.
void release_cards(Transaction& tx, LeaseId id);

/// What a lease that holds less than is wanted must have held in addition.
[[nodiscard]] ledger::Micros missing_hold(const Rules& rules, const Lease& lease, ledger::Price price);

/// What a usage statement is good for: cumulative, and within every bound.
struct Accepted {
    Millis running;
    std::int64_t egress_mib = 0;
};
/// Charges what `accepted` adds to the lease, and tops its hold up.
void charge(Transaction& tx, Lease& lease, const Accepted& accepted);

/// What must be held before a lease may start, or to go on: the price of the next window with its storage,
/// at most of the rest of its term, and of all that it may still send. `price` is the highest that may
/// apply to its cards.
[[nodiscard]] ledger::Micros hold_wanted(const Rules& rules, const Lease& lease, ledger::Price price);

/// Until when the held money lasts, counted from `now`, whatever a spot price does meanwhile.
[[nodiscard]] Time paid_until(const State& state, const Lease& lease, Time now);

/// Carries out what a lease's passed deadline calls for.
void on_deadline(Transaction& tx, LeaseId id);

/// Whether `image` is the frozen reference itself or carries the frozen digest ("…@sha256:…").
[[nodiscard]] bool image_matches(const std::string& image, const std::string& target);

}  // namespace fallow::market
