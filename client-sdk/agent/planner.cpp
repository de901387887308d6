#include "agent/planner.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>

#include "agent/scrub_plan.hpp"

namespace fallow::agent {
namespace {

/// From the signal to the kill of a job that is ended as it asked to be.
constexpr std::int64_t own_stop_grace_ms = 10'000;
constexpr std::int64_t sample_use_every_ms = 5000;

/// What is known of one lease, gathered from the three sources.
struct Situation {
    const LeaseRecord& record;
    const LeaseSeen& seen;
    const ContainerSeen* container = nullptr;
    bool engine_reachable = false;
    bool fenced = false;
    bool is_confirmed = false;  ///< by the server, since it heard of this host again: it may compute
    LeftInMemory left;          ///< by others, in its cards
    std::int64_t now = 0;
    const PlannerLimits& limits;
};

bool money_is_used_up(const Situation& s) {
    const auto& desired = s.record.desired.paid_until_boot_ms;
    return desired && s.now >= std::max(*desired, s.record.paid_until_boot_ms);
}

/// When the owner's claims end the lease; nothing while they do not. What does not run needs no notice.
std::optional<std::int64_t> claimed_until(const std::vector<OwnerClaim>& claims, const LeaseRecord& record,
                                          const ContainerSeen* container) {
    const bool runs = (record.started && !record.restart) || is_live(container);
    std::optional<std::int64_t> until;
    for (const OwnerClaim& claim : claims) {
        const auto& cards = record.desired.cards;
        const bool is_meant = std::any_of(cards.begin(), cards.end(),
                                          [&](const LeaseCard& card) { return card.uuid == claim.uuid; });
        if (!is_meant || (runs && !claim.takes_running)) continue;
        const std::int64_t notice = runs && !claim.at_once ? record.desired.reclaim_notice_ms : 0;
        until = std::min(until.value_or(INT64_MAX), claim.since_boot_ms + notice);
    }
    return until;
}

/// Why a live container has to end now. Deadlines that pass here come first: they hold within a grace, too.
StopCause stop_cause(const Situation& s) {
    const LeaseRecord& r = s.record;
    if (r.kill_sent) return r.stop_cause;
    if (r.reclaim_until_boot_ms && s.now >= *r.reclaim_until_boot_ms) return StopCause::reclaimed;
    if (r.desired.max_duration_ms && r.meter.at(s.now) >= *r.desired.max_duration_ms)
        return StopCause::duration;
    if (r.desired.run_until_boot_ms && s.now >= *r.desired.run_until_boot_ms) return StopCause::run_until;
    if (money_is_used_up(s)) return StopCause::paid_until;
    if (r.paused_boot_ms != 0 && s.now - r.paused_boot_ms >= s.limits.fenced_ms_max)
        return StopCause::fenced_too_long;
    const bool is_told = !r.desired.run && s.now >= r.desired.grace_until_boot_ms;
    if (r.reclaim_until_boot_ms && !is_told) return StopCause::reclaimed;
    return r.desired.run ? r.own_stop : StopCause::wanted;
}

/// A stop that the server wants has the grace that the server gives, one that the owner wants the notice. A
/// deadline has none: it was known.
std::int64_t grace_until(const Situation& s, StopCause cause) {
    const LeaseRecord& r = s.record;
    if (cause == StopCause::wanted) return r.desired.grace_until_boot_ms;
    if (cause == StopCause::unhealthy || cause == StopCause::idle)
        return r.own_stop_boot_ms + own_stop_grace_ms;
    if (cause != StopCause::reclaimed) return 0;
    const std::int64_t told = r.desired.run ? INT64_MAX : r.desired.grace_until_boot_ms;
    return std::min(*r.reclaim_until_boot_ms, told);
}

std::optional<Action> plan_live(const Situation& s) {
    const LeaseRecord& r = s.record;
    const auto act = [&](ActionKind kind, StopCause cause) {
        return Action{kind, r.desired.lease_id, {}, cause, 0};
    };
    const StopCause cause = stop_cause(s);
    const std::int64_t until = grace_until(s, cause);
    const bool in_grace = cause != StopCause::none && s.now < until;
    if (cause != StopCause::none && !in_grace) return act(ActionKind::kill, cause);
    if (s.container->state == ContainerState::paused) {
        if (s.fenced || !s.is_confirmed) return std::nullopt;
        return act(ActionKind::resume, StopCause::none);
    }
    if (in_grace && r.terminated_boot_ms == 0)
        return Action{ActionKind::terminate, r.desired.lease_id, {}, cause, until};
    return std::nullopt;
}

/// Of a job that has ended by itself nothing is to go on from; its last checkpoint stays what it is.
bool is_last_checkpoint_due(const LeaseRecord& r) {
    return r.checkpoint && r.exit && r.stop_cause != StopCause::none && !r.checkpoint_saved;
}

/// True when nothing more has to be read from the container or its storage.
bool may_remove(const LeaseRecord& r) {
    if (is_last_checkpoint_due(r)) return false;
    if (r.exit) return r.exit_reported && r.outputs_uploaded;
    // Of a lease that was given up before it was accepted, the server takes no report but the last.
    const bool is_over_unheard = !r.accepted && !is_wanted(r);
    if (r.failure) return r.failure_reported || is_over_unheard;
    return !is_wanted(r) && !r.started;
}

/// A deadline that the job has set for its own start: the image first, then everything else.
bool is_overdue(const LeaseRecord& r, std::int64_t now) {
    if (!r.desired.spec || r.started || r.prepare_boot_ms == 0) return false;
    const JobSpec& spec = *r.desired.spec;
    if (r.image_boot_ms == 0)
        return spec.pull_timeout_ms > 0 && now - r.prepare_boot_ms >= spec.pull_timeout_ms;
    return spec.start_timeout_ms > 0 && now - r.image_boot_ms >= spec.start_timeout_ms;
}

/// Of a container that has ended and is to be started again. Nothing runs, so an end needs no grace.
std::optional<Action> plan_restart(const Situation& s) {
    const LeaseRecord& r = s.record;
    const auto act = [&](ActionKind kind, StopCause cause = StopCause::none) {
        return Action{kind, r.desired.lease_id, {}, cause};
    };
    const bool is_due = s.now >= r.restart->due_boot_ms;
    // Started, but the agent died before it could write that down; else the look at it is of before its
    // end.
    if (is_live(s.container)) return is_due ? std::optional(act(ActionKind::start)) : std::nullopt;
    if (const StopCause cause = stop_cause(s); cause != StopCause::none)
        return act(ActionKind::give_up_restart, cause);
    if (s.container == nullptr) return act(ActionKind::give_up_restart);
    if (!r.logs_drained) return std::nullopt;
    if (!r.restart->line.empty()) return act(ActionKind::tell_restart);
    if (!is_due || s.fenced || !s.is_confirmed) return std::nullopt;
    if (r.restart->is_ready) return act(ActionKind::start);
    // Made ready by half, by an agent that was killed: nothing may run with half of its network.
    if (s.container->state == ContainerState::created) return act(ActionKind::give_up_restart);
    return act(ActionKind::ready_restart);
}

std::optional<Action> plan_engine(const Situation& s) {
    const LeaseRecord& r = s.record;
    const auto act = [&](ActionKind kind) { return Action{kind, r.desired.lease_id, {}, {}}; };
    if (r.removed) return std::nullopt;
    if (s.seen.engine_lane_busy) {
        if (s.seen.preparing && (!is_wanted(r) || is_overdue(r, s.now)))
            return act(ActionKind::cancel_prepare);
        return std::nullopt;
    }
    if (!s.engine_reachable) return std::nullopt;
    if (r.restart) return plan_restart(s);
    if (may_remove(r))
        return s.seen.checkpoint_lane_busy ? std::nullopt : std::optional(act(ActionKind::remove));
    if (r.exit || r.failure) return std::nullopt;
    if (r.started && (s.container == nullptr || s.container->state == ContainerState::exited))
        return act(ActionKind::record_exit);
    if (is_live(s.container)) {
        // Started, but the agent died before it could write that down.
        if (!r.started) return act(ActionKind::start);
        return plan_live(s);
    }
    if (!is_wanted(r) || !r.desired.spec || s.fenced) return std::nullopt;
    if (r.accepted && is_overdue(r, s.now)) return act(ActionKind::fail_start);
    if (r.accepted && s.left.is_stuck) return act(ActionKind::refuse_cards);
    if (s.container == nullptr || r.container_id.empty()) {
        // Prepared while the server is still told that the lease is accepted; started only when that was
        // heard.
        const bool may_prepare = r.accepted || needs_only_this_host(*r.desired.spec);
        return may_prepare ? std::optional(act(ActionKind::prepare)) : std::nullopt;
    }
    const bool may_start = r.accepted && !r.started && s.is_confirmed && !awaits_gang(r) && !s.left.is_due;
    if (!may_start) return std::nullopt;
    Action start = act(ActionKind::start);
    start.is_fresh = s.container->state == ContainerState::created;
    return start;
}

/// Only of a container that was seen running just now: one that has exited unseen must not be billed
/// further. One that waits for its restart adds nothing, and what is paid for lasts longer.
bool usage_due(const Situation& s) {
    const LeaseRecord& r = s.record;
    const bool runs = s.container != nullptr && s.container->state == ContainerState::running;
    return ((runs && r.meter.counting) || r.restart) && r.running_reported &&
           s.now - r.usage_stated_boot_ms >= r.desired.usage_interval_ms;
}

bool is_running_due(const LeaseRecord& r) {
    return r.started && (!r.running_reported || r.restarts_reported < r.restarts);
}

/// The others of a gang wait for it: it is ready as far as it can be alone.
bool is_gang_due(const LeaseRecord& r) {
    const bool is_made = !r.container_id.empty() && !r.started && !r.exit;
    return is_made && is_wanted(r) && awaits_gang(r) && !r.gang_reported;
}

std::optional<Action> plan_server(const Situation& s) {
    const LeaseRecord& r = s.record;
    const auto act = [&](ActionKind kind) { return Action{kind, r.desired.lease_id, {}, {}}; };
    if (s.seen.server_lane_busy || r.gone_reported) return std::nullopt;
    // First of all, so that the renter and the rest of a gang hear of it, but never before the start: what
    // has run is billed.
    const bool may_tell = !r.started || r.running_reported;
    if (r.reclaim_until_boot_ms && !r.reclaim_reported && may_tell)
        return act(ActionKind::report_reclaimed);
    // On this word the server gives its cards to others.
    if (r.removed) return s.left.is_due ? std::nullopt : std::optional(act(ActionKind::report_gone));
    if (!r.accepted) {
        const bool ready = is_wanted(r) && r.desired.spec;
        return ready ? std::optional(act(ActionKind::report_accepted)) : std::nullopt;
    }
    if (r.failure) return r.failure_reported ? std::nullopt : std::optional(act(ActionKind::report_failed));
    if (is_gang_due(r)) return act(ActionKind::report_gang);
    if (is_running_due(r)) return act(ActionKind::report_running);
    if (!r.exit) return usage_due(s) ? std::optional(act(ActionKind::state_usage)) : std::nullopt;
    if (!r.logs_drained) return std::nullopt;
    if (!r.final_usage_stated) return act(ActionKind::state_final_usage);
    if (!r.exit_reported) return act(ActionKind::report_exited);
    // What is saved of the running job is being given up, and must not come after this.
    if (!r.outputs_uploaded && !s.seen.saving_running) return act(ActionKind::upload_outputs);
    return std::nullopt;
}

/// As it should: what is looked at or saved now is not about to change by a stop.
bool is_running_on(const Situation& s) {
    const LeaseRecord& r = s.record;
    const bool runs = s.container != nullptr && s.container->state == ContainerState::running;
    const bool is_stopping = r.terminated_boot_ms != 0 || r.kill_sent;
    return runs && r.running_reported && !is_stopping && !s.fenced;
}

std::optional<Action> plan_checkpoint(const Situation& s) {
    const LeaseRecord& r = s.record;
    const auto act = [&](ActionKind kind) { return Action{kind, r.desired.lease_id, {}, {}}; };
    const bool is_over = r.exit || r.failure;
    if (s.seen.checkpoint_lane_busy) {
        const bool is_late = is_over && s.seen.saving_running;
        return is_late ? std::optional(act(ActionKind::cancel_checkpoint)) : std::nullopt;
    }
    if (r.removed) return std::nullopt;
    if (is_last_checkpoint_due(r)) return act(ActionKind::save_last_checkpoint);
    if (is_over || !is_running_on(s)) return std::nullopt;
    const auto is_due = [&](std::int64_t last_boot_ms, std::int64_t interval_ms) {
        return s.now - std::max(r.started_boot_ms, last_boot_ms) >= interval_ms;
    };
    if (r.checkpoint && is_due(r.checkpoint_boot_ms, r.checkpoint->interval_ms))
        return act(ActionKind::save_checkpoint);
    const std::int64_t output_interval_ms = r.desired.spec ? r.desired.spec->output_interval_ms : 0;
    const bool are_outputs_due = output_interval_ms > 0 && is_due(r.outputs_boot_ms, output_interval_ms);
    return are_outputs_due ? std::optional(act(ActionKind::save_outputs)) : std::nullopt;
}

/// What a job asked to be ended for, as far as the looks at it have shown it.
StopCause own_stop_of(const LeaseSeen& seen, const JobSpec& spec) {
    if (spec.health && seen.health_failures >= spec.health->retries) return StopCause::unhealthy;
    const std::int64_t busy_boot_ms = std::max(seen.record.started_boot_ms, seen.busy_boot_ms);
    if (spec.idle && seen.use_sampled_boot_ms - busy_boot_ms >= spec.idle->for_ms) return StopCause::idle;
    return StopCause::none;
}

std::optional<Action> plan_watch(const Situation& s) {
    const LeaseRecord& r = s.record;
    const auto act = [&](ActionKind kind, StopCause cause = StopCause::none) {
        return Action{kind, r.desired.lease_id, {}, cause};
    };
    if (r.exit || !r.desired.run || !r.desired.spec || r.own_stop != StopCause::none) return std::nullopt;
    if (s.seen.watch_lane_busy || !is_running_on(s)) return std::nullopt;
    const JobSpec& spec = *r.desired.spec;
    if (const StopCause cause = own_stop_of(s.seen, spec); cause != StopCause::none)
        return act(ActionKind::stop_own, cause);
    const std::int64_t checked = std::max(r.started_boot_ms, s.seen.health_checked_boot_ms);
    if (spec.health && s.now - checked >= spec.health->interval_ms) return act(ActionKind::check_health);
    if (spec.idle && s.now - s.seen.use_sampled_boot_ms >= sample_use_every_ms)
        return act(ActionKind::sample_use);
    return std::nullopt;
}

const DesiredLease* find_desired(const Desired* desired, const std::string& lease_id) {
    if (desired == nullptr) return nullptr;
    const auto found = std::find_if(desired->leases.begin(), desired->leases.end(),
                                    [&](const DesiredLease& d) { return d.lease_id == lease_id; });
    return found == desired->leases.end() ? nullptr : &*found;
}

/// Whether the lease is still ours. The record may be older than the state that has just come, so it is
/// that state which has to want it; and it has to have been asked for once the server had heard of us
/// again, because it may have given the lease up before that.
bool is_confirmed(const Desired* desired, const Observed& observed, const LeaseRecord& record,
                  std::int64_t now) {
    const DesiredLease* const wanted = find_desired(desired, record.desired.lease_id);
    if (wanted == nullptr || (!wanted->run && now >= wanted->grace_until_boot_ms)) return false;
    return desired->asked_boot_ms > std::max(record.paused_boot_ms, observed.contact_since_boot_ms);
}

/// Nothing but the bookkeeping of one record against what the server says now. True: leave it alone
/// otherwise.
bool plan_bookkeeping(const Desired* desired, const LeaseSeen& seen, std::vector<Action>& actions) {
    if (desired == nullptr) return false;
    const LeaseRecord& r = seen.record;
    const DesiredLease* const wanted = find_desired(desired, r.desired.lease_id);
    const bool taken = wanted == nullptr || wanted->lease_epoch > r.desired.lease_epoch;
    if (taken) {
        if (seen.preparing) actions.push_back({ActionKind::cancel_prepare, r.desired.lease_id, {}, {}});
        if (seen.saving_running)
            actions.push_back({ActionKind::cancel_checkpoint, r.desired.lease_id, {}, {}});
        if (seen.engine_lane_busy || seen.server_lane_busy || seen.checkpoint_lane_busy) return true;
        const ActionKind kind = r.removed ? ActionKind::forget : ActionKind::discard;
        actions.push_back({kind, r.desired.lease_id, {}, {}});
        return true;
    }
    // A lower epoch comes from a leader that has been replaced: its word counts for nothing.
    if (wanted->lease_epoch == r.desired.lease_epoch && !(*wanted == r.desired))
        actions.push_back({ActionKind::update, r.desired.lease_id, {}, {}});
    return false;
}

/// Noted before anything else is done for the lease: from then on it does not start.
bool plan_reclaim(const Observed& observed, const LeaseRecord& r, const ContainerSeen* container,
                  std::vector<Action>& actions) {
    if (r.exit || r.failure || r.removed || r.kill_sent) return false;
    const auto until = claimed_until(observed.claims, r, container);
    if (!until || *until >= r.reclaim_until_boot_ms.value_or(INT64_MAX)) return false;
    actions.push_back({ActionKind::reclaim, r.desired.lease_id, {}, StopCause::reclaimed, *until});
    return true;
}

void plan_new(const Desired& desired, const Observed& observed, std::vector<Action>& actions) {
    for (const DesiredLease& wanted : desired.leases) {
        const bool known = std::any_of(
            observed.leases.begin(), observed.leases.end(),
            [&](const LeaseSeen& seen) { return seen.record.desired.lease_id == wanted.lease_id; });
        if (!known) actions.push_back({ActionKind::adopt, wanted.lease_id, {}, {}});
    }
}

/// A container that no record names. One of a lease about to be adopted is left: the record may have been
/// lost with its container still running, and a container cannot be trusted without its record, so it goes
/// as well.
void plan_orphans(const Observed& observed, std::vector<Action>& actions) {
    for (const ContainerSeen& container : observed.containers) {
        const bool owned =
            std::any_of(observed.leases.begin(), observed.leases.end(), [&](const LeaseSeen& seen) {
                const LeaseRecord& r = seen.record;
                if (r.container_id == container.id) return true;
                return seen.engine_lane_busy && r.desired.lease_id == container.lease_id;
            });
        if (!owned) actions.push_back({ActionKind::remove_orphan, container.lease_id, container.id, {}});
    }
}

}  // namespace

bool is_live(const ContainerSeen* container) {
    return container != nullptr &&
           (container->state == ContainerState::running || container->state == ContainerState::paused);
}

const ContainerSeen* find_container(const Observed& observed, const LeaseRecord& record) {
    const auto is_ours = [&](const ContainerSeen& c) {
        return record.container_id.empty()
                   ? c.lease_id == record.desired.lease_id && c.lease_epoch == record.desired.lease_epoch
                   : c.id == record.container_id;
    };
    const auto found = std::find_if(observed.containers.begin(), observed.containers.end(), is_ours);
    return found == observed.containers.end() ? nullptr : &*found;
}

bool needs_only_this_host(const JobSpec& spec) {
    return spec.inputs.empty() && !spec.checkpoint && spec.secrets.empty() && spec.registry_secret.empty();
}

std::string_view name_of(ActionKind kind) {
    // In the order of the enumeration.
    constexpr std::array names = {
        std::string_view("adopt"),
        std::string_view("update"),
        std::string_view("forget"),
        std::string_view("cancel_prepare"),
        std::string_view("reclaim"),
        std::string_view("stop_own"),
        std::string_view("abandon_scrub"),
        std::string_view("scrub"),
        std::string_view("prepare"),
        std::string_view("fail_start"),
        std::string_view("refuse_cards"),
        std::string_view("start"),
        std::string_view("terminate"),
        std::string_view("kill"),
        std::string_view("resume"),
        std::string_view("record_exit"),
        std::string_view("tell_restart"),
        std::string_view("ready_restart"),
        std::string_view("give_up_restart"),
        std::string_view("remove"),
        std::string_view("remove_orphan"),
        std::string_view("discard"),
        std::string_view("report_accepted"),
        std::string_view("report_gang"),
        std::string_view("report_running"),
        std::string_view("report_exited"),
        std::string_view("report_failed"),
        std::string_view("report_gone"),
        std::string_view("report_reclaimed"),
        std::string_view("state_usage"),
        std::string_view("state_final_usage"),
        std::string_view("upload_outputs"),
        std::string_view("save_checkpoint"),
        std::string_view("save_last_checkpoint"),
        std::string_view("save_outputs"),
        std::string_view("cancel_checkpoint"),
        std::string_view("check_health"),
        std::string_view("sample_use"),
    };
    static_assert(names.size() == static_cast<std::size_t>(ActionKind::sample_use) + 1);
    return names.at(static_cast<std::size_t>(kind));
}

std::vector<Action> reconcile(const Desired* desired, const Observed& observed, std::int64_t now_boot_ms,
                              const PlannerLimits& limits) {
    std::vector<Action> actions;
    const std::int64_t acknowledged = observed.heartbeat_acknowledged_boot_ms;
    for (const LeaseSeen& seen : observed.leases) {
        if (plan_bookkeeping(desired, seen, actions)) continue;
        const ContainerSeen* const container = find_container(observed, seen.record);
        if (plan_reclaim(observed, seen.record, container, actions)) continue;
        const Situation situation{
            .record = seen.record,
            .seen = seen,
            .container = container,
            .engine_reachable = observed.engine_reachable,
            .fenced = acknowledged == 0 || now_boot_ms - acknowledged >= seen.record.desired.fence_ms,
            .is_confirmed = is_confirmed(desired, observed, seen.record, now_boot_ms),
            .left = left_in_memory(seen.record, observed, now_boot_ms),
            .now = now_boot_ms,
            .limits = limits};
        if (const auto action = plan_engine(situation)) actions.push_back(*action);
        if (const auto action = plan_server(situation)) actions.push_back(*action);
        if (const auto action = plan_checkpoint(situation)) actions.push_back(*action);
        if (const auto action = plan_watch(situation)) actions.push_back(*action);
    }
    plan_scrubs(observed, now_boot_ms, actions);
    if (desired == nullptr) return actions;
    plan_new(*desired, observed, actions);
    if (observed.engine_reachable) plan_orphans(observed, actions);
    return actions;
}

}  // namespace fallow::agent
