// What agents report of their leases: phases, and signed usage. Reports are level-triggered: a repeated one
// is answered like the first and changes nothing.
#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/matching.hpp"
#include "market/pools.hpp"
#include "market/reservations.hpp"

namespace fallow::market {
namespace {

Result<const Lease*> own_lease(const Transaction& tx, LeaseId id, std::int64_t epoch) {
    const Lease* lease = tx.state().find<Lease>(id);
    if (lease == nullptr || !tx.context().caller.host || lease->host != *tx.context().caller.host)
        return refuse(ErrorCode::not_found, fmt::format("The host has no {}.", id.text()));
    if (lease->epoch != epoch)
        return refuse(ErrorCode::stale_epoch,
                      fmt::format("The lease has epoch {}, the report {}.", lease->epoch, epoch),
                      "/lease_epoch");
    return lease;
}

Error wrong_phase(const Lease& lease, AgentPhase phase) {
    return refuse(
        ErrorCode::wrong_state,
        fmt::format("A lease that is {} cannot be reported {}.", name_of(lease.state), name_of(phase)),
        "/phase");
}

Status accept(Transaction& tx, Lease lease) {
    if (lease.state == LeaseState::preparing) return Done{};
    if (lease.state != LeaseState::allocated || !lease.job) return wrong_phase(lease, AgentPhase::accepted);
    lease.state = LeaseState::preparing;
    lease.preparing_at = tx.now();
    lease.phase_deadline = tx.now() + tx.state().rules().pull_deadline + tx.state().rules().start_deadline;
    tx.update(std::move(lease), "lease.preparing");
    return Done{};
}

/// A container that was started again in its lease is the same one.
void note_restarts(Transaction& tx, const Lease& lease, std::int32_t restarts) {
    if (!lease.job || tx.state().at<Job>(*lease.job).restarts >= restarts) return;
    Job job = tx.state().at<Job>(*lease.job);
    job.restarts = restarts;
    tx.update(std::move(job), "job.restarted");
}

Status start(Transaction& tx, Lease lease, const AgentReport& report) {
    if (lease.state == LeaseState::running && lease.container == report.container) {
        note_restarts(tx, lease, report.restarts);
        return Done{};
    }
    if (lease.state != LeaseState::preparing || !lease.job) return wrong_phase(lease, AgentPhase::running);
    Job job = tx.state().at<Job>(*lease.job);
    lease.state = LeaseState::running;
    lease.running_at = tx.now();
    lease.usage_at = tx.now();
    lease.container = report.container;
    lease.boot = report.boot;
    lease.phase_deadline.reset();
    follow_pool(tx, lease, lease.allocated_at);
    lease.paid_until = paid_until(tx.state(), lease, tx.now());
    tx.update(std::move(lease), "lease.running");
    job.state = JobState::running;
    job.started_at = tx.now();
    job.restarts = report.restarts;
    tx.update(std::move(job), "job.running");
    return Done{};
}

/// What the moment was at which the host stops a lease by itself.
EndReason end_of(const Lease& lease) {
    if (!lease.maintenance_at || !lease.running_at) return EndReason::term_reached;
    Time term = *lease.running_at + lease.term;
    if (lease.ends_by) term = std::min(term, *lease.ends_by);
    return *lease.maintenance_at < term ? EndReason::host_maintenance : EndReason::term_reached;
}

/// What the agent stopped the container for, if that was none of the container's own doing.
std::optional<EndReason> reason_of_stop(const Lease& lease, StopCause stop) {
    switch (stop) {
        case StopCause::wanted:
            return lease.stop_reason;
        case StopCause::run_until:
            return lease.stop_reason.value_or(end_of(lease));
        case StopCause::paid_until:
            return lease.stop_reason.value_or(EndReason::funds_exhausted);
        case StopCause::fenced_too_long:
            return lease.stop_reason.value_or(EndReason::host_lost);
        case StopCause::reclaimed:
            return lease.stop_reason.value_or(EndReason::reclaimed_by_owner);
        case StopCause::unhealthy:
            return lease.stop_reason.value_or(EndReason::unhealthy);
        case StopCause::idle:
            return lease.stop_reason.value_or(EndReason::idle);
        case StopCause::none:
        case StopCause::duration:
            return std::nullopt;
    }
    return std::nullopt;
}

/// Why a container's exit ends its lease. One that was told to stop has not completed, whatever its exit
/// code: it may have saved its work and left. One that finishes by itself within a notice has.
EndReason reason_of_exit(const Lease& lease, const AgentReport& report) {
    if (lease.stop_reason == EndReason::cancelled_by_renter) return EndReason::cancelled_by_renter;
    if (const auto stopped = reason_of_stop(lease, report.stop)) return *stopped;
    if (report.exit_code == 0 && !report.oom_killed && !report.duration_exceeded)
        return EndReason::completed;
    if (lease.stop_reason) return *lease.stop_reason;
    if (report.is_temporary && !report.duration_exceeded) return EndReason::temporary_failure;
    if (report.oom_killed) return EndReason::out_of_memory;
    if (report.duration_exceeded) return EndReason::duration_exceeded;
    return EndReason::command_failed;
}

/// The owner is at the machine and has decided: nothing here can refuse it. So a penalty that the seller's
/// accounts do not cover is taken as far as they go.
void pay_for_reclaim(Transaction& tx, const Lease& lease) {
    if (const auto penalty = penalty_for_reclaim(tx.state(), lease, tx.now()))
        pay_penalty(tx, lease, *penalty);
}

Status reclaimed(Transaction& tx, const Lease& lease, const AgentReport& report) {
    if (lease.state == LeaseState::reclaiming || lease.state == LeaseState::ended) return Done{};
    const LeaseId id = lease.id;
    const Millis notice = std::min(lease.reclaim_notice, report.notice.value_or(lease.reclaim_notice));
    pay_for_reclaim(tx, lease);
    stop_lease(tx, id, EndReason::reclaimed_by_owner, notice);
    return Done{};
}

Status exited(Transaction& tx, Lease lease, const AgentReport& report) {
    if (lease.state == LeaseState::reclaiming || lease.state == LeaseState::ended) {
        // A deadline came before the report: the exit code is still worth keeping while the job is not
        // settled.
        if (lease.state == LeaseState::ended || lease.exit_code || !lease.running_at) return Done{};
        lease.exit_code = report.exit_code;
        tx.update(std::move(lease), {});
        return Done{};
    }
    if (lease.state != LeaseState::running) return wrong_phase(lease, AgentPhase::exited);
    if (report.stop == StopCause::reclaimed) pay_for_reclaim(tx, lease);
    const EndReason reason = reason_of_exit(lease, report);
    const LeaseId id = lease.id;
    lease.exit_code = report.exit_code;
    tx.update(std::move(lease), {});
    begin_reclaiming(tx, id, reason);
    return Done{};
}

Status failed(Transaction& tx, const Lease& lease, const AgentReport& report) {
    if (lease.state == LeaseState::reclaiming || lease.state == LeaseState::ended) return Done{};
    if (lease.state != LeaseState::preparing) return wrong_phase(lease, AgentPhase::failed);
    begin_reclaiming(tx, lease.id, report.failure.value_or(EndReason::start_failed));
    return Done{};
}

Status gone(Transaction& tx, const Lease& lease) {
    if (lease.released) return Done{};
    if (lease.state == LeaseState::reclaiming)
        finish_lease(tx, lease.id, *lease.end_reason, true);
    else if (lease.state == LeaseState::ended)
        release_cards(tx, lease.id);
    else
        return wrong_phase(lease, AgentPhase::gone);
    match_standing_orders(tx);
    return Done{};
}

Status apply(Transaction& tx, const Lease& lease, const AgentReport& report) {
    switch (report.phase) {
        case AgentPhase::accepted:
            return accept(tx, lease);
        case AgentPhase::running:
            return start(tx, lease, report);
        case AgentPhase::exited:
            return exited(tx, lease, report);
        case AgentPhase::failed:
            return failed(tx, lease, report);
        case AgentPhase::gone:
            return gone(tx, lease);
        case AgentPhase::reclaimed:
            return reclaimed(tx, lease, report);
    }
    return Done{};
}

Status check_usage(const Lease& lease, const ReportUsage& report) {
    const bool bills =
        lease.state == LeaseState::running || (lease.state == LeaseState::reclaiming && lease.running_at);
    if (!bills)
        return refuse(ErrorCode::wrong_state,
                      fmt::format("A lease that is {} takes no usage.", name_of(lease.state)));
    if (report.container != lease.container || report.boot != lease.boot)
        return refuse(
            ErrorCode::invalid_field,
            "The statement is of another container or boot than the one that was reported running.",
            "/statement");
    if (report.nonce != lease.nonce)
        return refuse(ErrorCode::nonce_mismatch,
                      "The statement does not carry the last nonce: read the desired state again.",
                      "/statement");
    if (report.sequence != lease.usage_sequence + 1)
        return refuse(ErrorCode::usage_not_monotone,
                      fmt::format("The next statement has sequence {}.", lease.usage_sequence + 1),
                      "/statement");
    if (report.running < lease.claimed)
        return refuse(
            ErrorCode::usage_not_monotone,
            fmt::format("Running time is cumulative: {} ms were stated before.", lease.claimed.count),
            "/statement");
    if (report.egress_bytes && *report.egress_bytes < lease.egress_bytes_claimed)
        return refuse(ErrorCode::usage_not_monotone,
                      fmt::format("What was sent is cumulative: {} bytes were stated before.",
                                  lease.egress_bytes_claimed),
                      "/statement");
    return Done{};
}

/// What may be billed of a cumulative claim: not more than the server's own clock since running began, and
/// since the last statement, plus a heartbeat; not past the term; not past the money that is held. Never
/// less than before.
Millis accepted_running(const Rules& rules, const Lease& lease, Millis claimed, Time now) {
    const Time end = lease.reclaiming_at.value_or(now);
    Millis accepted = std::min(claimed, end - *lease.running_at + rules.heartbeat);
    accepted = std::min(accepted, lease.meter.running + (end - *lease.usage_at) + rules.heartbeat);
    accepted = std::min(accepted, lease.term);
    accepted =
        std::min(accepted, lease.meter.running + ledger::covered_by(lease.meter, lease.rate(), lease.held,
                                                                    lease.traffic_left()));
    return std::max(accepted, lease.meter.running);
}

/// Whole MiB, and not past the limit, up to which the price is held. Never less than before.
std::int64_t accepted_traffic(const Lease& lease, std::int64_t claimed_bytes) {
    std::int64_t mib = claimed_bytes / ledger::bytes_per_mib;
    if (lease.egress_mib_max) mib = std::min(mib, *lease.egress_mib_max);
    return std::max(mib, lease.meter.egress_mib);
}

}  // namespace

Result<Outcome> handle(Transaction& tx, const AgentReport& command) {
    const auto lease = own_lease(tx, command.lease, command.lease_epoch);
    // A lease that is settled and released is forgotten; its last report may still be repeated.
    if (!lease && lease.error().code == ErrorCode::not_found && command.phase == AgentPhase::gone)
        return Outcome(Done{});
    if (!lease) return lease.error();
    if (const auto applied = apply(tx, **lease, command); !applied) return applied.error();
    return Outcome(tx.state().at<Lease>(command.lease));
}

Result<Outcome> handle(Transaction& tx, const ReportUsage& command) {
    const auto found = own_lease(tx, command.lease, command.lease_epoch);
    if (!found) return found.error();
    if (const auto fine = check_usage(**found, command); !fine) return fine.error();

    Lease lease = **found;
    const std::int64_t sent = command.egress_bytes.value_or(lease.egress_bytes_claimed);
    const Accepted accepted{accepted_running(tx.state().rules(), lease, command.running, tx.now()),
                            accepted_traffic(lease, sent)};
    charge(tx, lease, accepted);
    follow_pool(tx, lease, *lease.usage_at);
    lease.usage_sequence = command.sequence;
    lease.claimed = command.running;
    lease.egress_bytes_claimed = sent;
    lease.usage_sha256 = command.statement_sha256;
    lease.usage_at = tx.now();
    lease.nonce = tx.make_nonce();
    if (lease.state == LeaseState::running) lease.paid_until = paid_until(tx.state(), lease, tx.now());
    const Usage usage{lease.id,           command.sequence,
                      lease.renter,       lease.seller,
                      command.statement,  command.signature,
                      accepted.running,   std::max(command.running - accepted.running, Millis(0)),
                      command.final,      tx.now(),
                      accepted.egress_mib};
    tx.update(std::move(lease), "lease.metered");
    tx.add_usage(usage);
    return Outcome(UsageAccepted{tx.state().at<Lease>(command.lease), usage});
}

}  // namespace fallow::market
