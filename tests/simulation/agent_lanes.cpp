// The two lanes of a lease: what takes time, and can be cut off in the middle. The order of effects and
// records is LeaseTask's.
#include <algorithm>

#include "agent/usage.hpp"
#include "simulation/agent.hpp"

namespace fallow::sim {

using agent::ActionKind;
using agent::LeaseRecord;
using market::AgentPhase;

namespace {

constexpr std::int64_t exit_code_of_kill = 137;
constexpr std::int64_t start_late_ms = 2000;
constexpr Millis request_timeout = seconds(6);

/// As ServerError::is_final.
bool is_final_refusal(const Answer& answer) {
    return answer.status >= 400 && answer.status < 500 && answer.body != "nonce_mismatch" &&
           answer.body != "usage_not_monotone";
}

}  // namespace

Agent::Lane& Agent::lane(Side side, const std::string& lease) {
    Lanes& lanes = lanes_[lease];
    return side == Side::engine ? lanes.engine : side == Side::server ? lanes.server : lanes.watch;
}

void Agent::occupy(Side side, const agent::Action& action) {
    lane(side, action.lease_id) = Lane{true, action.kind, false};
}

/// After a failure the lane stays busy for a while, so that a broken thing is not hammered at.
void Agent::leave(Side side, const std::string& lease, bool has_failed) {
    later(has_failed ? world_.random.span(500, 1500) : Millis(0),
          [this, side, lease] { lane(side, lease).is_busy = false; });
}

// --- the engine's lane

void Agent::engine_work(const agent::Action& action) {
    const std::string lease = action.lease_id;
    const auto soon = [this](std::function<void()> what) {
        later(world_.random.span(5, 120), std::move(what));
    };
    switch (action.kind) {
        case ActionKind::prepare:
            return prepare(lease);
        case ActionKind::start:
            return soon([this, lease, planned = now()] { start(lease, planned); });
        case ActionKind::terminate:
            return soon([this, lease, cause = action.cause] {
                change(lease, [&](LeaseRecord& r) {
                    r.stop_cause = cause;
                    r.terminated_boot_ms = now();
                });
                host_.terminate(find(lease)->container_id);
                leave(Side::engine, lease);
            });
        case ActionKind::kill:
            return soon([this, lease, cause = action.cause] {
                change(lease, [&](LeaseRecord& r) {
                    r.stop_cause = cause;
                    r.kill_sent = true;
                });
                host_.kill(find(lease)->container_id);
                leave(Side::engine, lease);
            });
        case ActionKind::resume:
            return soon([this, lease] { resume(lease); });
        case ActionKind::record_exit:
            return soon([this, lease] { record_exit(lease); });
        case ActionKind::remove:
            return soon([this, lease] { remove(lease, false); });
        case ActionKind::discard:
            return soon([this, lease] { remove(lease, true); });
        default:
            return leave(Side::engine, lease);
    }
}

void Agent::prepare(const std::string& lease) {
    const Program& program = machines_.programs.at(find(lease)->desired.job_id);
    const Time pulled = world_.now() + program.pull;
    const auto look = std::make_shared<std::function<void()>>();
    *look = [this, lease, pulled, has_no_image = program.has_no_image, again = std::weak_ptr(look)] {
        const bool is_cancelled = lanes_[lease].engine.is_cancelled;
        if (is_cancelled) return leave(Side::engine, lease, true);
        if (world_.now() < pulled) return later(Millis(400), [self = again.lock()] { (*self)(); });
        if (!has_no_image) return create(lease);
        change(lease, [](LeaseRecord& r) { r.failure = agent::LeaseFailure{"image_pull_failed", ""}; });
        leave(Side::engine, lease);
    };
    later(Millis(100), [look] { (*look)(); });
}

void Agent::create(const std::string& lease) {
    const LeaseRecord& r = *find(lease);
    const std::string id = host_.create(lease, r.desired.lease_epoch, r.desired.job_id);
    later(world_.random.span(2, 40), [this, lease, id] {
        change(lease, [&](LeaseRecord& changed) {
            changed.container_id = id;
            changed.outputs = {"/outputs/result"};
        });
        leave(Side::engine, lease);
    });
}

void Agent::start(const std::string& lease, std::int64_t planned) {
    if (now() - planned > start_late_ms) return leave(Side::engine, lease, true);
    const std::string id = find(lease)->container_id;
    const Container* container = host_.find(id);
    if (container == nullptr) {
        change(lease, [](LeaseRecord& r) { r.container_id.clear(); });
        return leave(Side::engine, lease);
    }
    if (container->was_started()) return note_started(lease, *container);
    if (container->program.cannot_start) {
        change(lease, [](LeaseRecord& r) { r.failure = agent::LeaseFailure{"start_failed", ""}; });
        return leave(Side::engine, lease);
    }
    watch(*find(lease));  // before it runs: nothing computes unguarded
    host_.find(id)->egress_bytes_max = egress_bytes_max_[lease];
    host_.start(id);
    later(world_.random.span(1, 30), [this, lease, id] {
        if (const Container* started = host_.find(id)) note_started(lease, *started);
    });
}

void Agent::note_started(const std::string& lease, const Container& container) {
    const std::int64_t ago = (world_.now() - container.started_at).count;
    change(lease, [&](LeaseRecord& r) {
        r.started = true;
        r.boot_id = host_.boot_id();
        r.started_boot_ms = std::max<std::int64_t>(0, now() - ago);
        r.meter.resume(r.started_boot_ms);
        r.usage_stated_boot_ms = now();
        r.logs_drained = true;
    });
    watch(*find(lease));
    leave(Side::engine, lease);
}

void Agent::resume(const std::string& lease) {
    const auto at = thaw(find(lease)->container_id);
    if (!at) return leave(Side::engine, lease, true);
    later(world_.random.span(1, 30), [this, lease, thawed = *at] {
        change(lease, [&](LeaseRecord& r) {
            r.paused_boot_ms = 0;
            r.meter.resume(thawed);
        });
        lanes_[lease].busy_boot_ms = now();
        lanes_[lease].health_failures = 0;
        leave(Side::engine, lease);
    });
}

void Agent::record_exit(const std::string& lease) {
    const Container* container = host_.find(find(lease)->container_id);
    agent::ContainerExit exit;
    exit.exit_code = container != nullptr ? container->exit_code : exit_code_of_kill;
    exit.oom_killed = container != nullptr && container->program.runs_out_of_memory &&
                      container->ran >= container->program.work;
    if (const auto* known = book_.find(find(lease)->container_id)) take_over(*find(lease), *known);
    change(lease, [&](LeaseRecord& r) {
        exit.duration_exceeded = r.stop_cause == agent::StopCause::duration;
        const auto& spec = r.desired.spec;
        exit.is_temporary = spec && std::ranges::count(spec->retry_exit_codes, exit.exit_code) > 0;
        r.exit = exit;
        const Time seen = container != nullptr ? container->finished_at : world_.now();
        r.meter.pause(now() - (world_.now() - seen).count);
        if (container != nullptr)
            r.meter.settle((container->finished_at - container->started_at).count, r.stated_ms);
    });
    leave(Side::engine, lease);
}

void Agent::remove(const std::string& lease, bool is_discarded) {
    const std::string id = find(lease)->container_id;
    book_.drop(id);
    if (!id.empty()) host_.remove(id);
    later(world_.random.span(1, 50), [this, lease, is_discarded] {
        if (is_discarded) {
            records_.erase(lease);
            lanes_.erase(lease);
            return;
        }
        change(lease, [](LeaseRecord& r) { r.removed = true; });
        leave(Side::engine, lease);
    });
}

// --- the server's lane

void Agent::request(const market::Command& command, std::function<void(const Answer*)> then) {
    Server& server = any_server();
    ask<Answer>(
        network_, *this, host_.line, server, request_timeout,
        [this, &server, command](auto answer) {
            server.request(command, caller_, std::nullopt, std::move(answer));
        },
        std::move(then));
}

void Agent::server_work(const agent::Action& action) {
    const std::string lease = action.lease_id;
    switch (action.kind) {
        case ActionKind::report_accepted:
            return report(lease, AgentPhase::accepted, [](LeaseRecord& r) { r.accepted = true; });
        case ActionKind::report_running:
            return report(lease, AgentPhase::running, [](LeaseRecord& r) { r.running_reported = true; });
        case ActionKind::report_exited:
            return report(lease, AgentPhase::exited, [](LeaseRecord& r) { r.exit_reported = true; });
        case ActionKind::report_failed:
            return report(lease, AgentPhase::failed, [](LeaseRecord& r) { r.failure_reported = true; });
        case ActionKind::report_gone:
            return report(lease, AgentPhase::gone, [](LeaseRecord& r) { r.gone_reported = true; });
        case ActionKind::report_reclaimed:
            return report(lease, AgentPhase::reclaimed, [](LeaseRecord& r) { r.reclaim_reported = true; });
        case ActionKind::state_usage:
            return state_usage(lease, false);
        case ActionKind::state_final_usage:
            return state_usage(lease, true);
        default:  // upload_outputs
            later(world_.random.span(50, 2000), [this, lease] {
                machines_.uploads.insert(lease);
                change(lease, [](LeaseRecord& r) { r.outputs_uploaded = true; });
                leave(Side::server, lease);
            });
    }
}

void Agent::report(const std::string& lease, AgentPhase phase, Change heard) {
    const LeaseRecord& r = *find(lease);
    market::AgentReport report;
    report.lease = *LeaseId::parse(lease);
    report.lease_epoch = r.desired.lease_epoch;
    report.phase = phase;
    if (phase == AgentPhase::running) {
        report.container = r.container_id;
        report.boot = r.boot_id;
    }
    if (phase == AgentPhase::exited) {
        report.exit_code = static_cast<std::int32_t>(r.exit->exit_code);
        report.oom_killed = r.exit->oom_killed;
        report.duration_exceeded = r.exit->duration_exceeded;
        report.is_temporary = r.exit->is_temporary;
        report.stop = parse_enum<market::StopCause>(name_of(r.stop_cause)).value();
    }
    if (phase == AgentPhase::reclaimed)
        report.notice = Millis(std::max<std::int64_t>(0, *r.reclaim_until_boot_ms - now()));
    if (phase == AgentPhase::failed) report.failure = parse_enum<market::EndReason>(r.failure->reason);
    request(report, [this, lease, phase, heard = std::move(heard)](const Answer* answer) {
        heard_report(lease, phase, heard, answer);
    });
}

void Agent::heard_report(const std::string& lease, AgentPhase phase, const Change& heard,
                         const Answer* answer) {
    const bool is_done = answer != nullptr && answer->status == 200;
    bool is_heard = is_done;
    if (answer != nullptr && !is_done) {
        // A refused `accepted` may still become true; `gone` is repeated until it is heard.
        const bool must_succeed = phase == AgentPhase::accepted || phase == AgentPhase::gone;
        is_heard =
            must_succeed ? phase == AgentPhase::gone && answer->status == 404 : is_final_refusal(*answer);
    }
    if (!is_heard) return leave(Side::server, lease, true);
    change(lease, [&](LeaseRecord& r) {
        if (is_done && answer->outcome)
            if (const auto* row = std::get_if<market::Lease>(&*answer->outcome)) r.nonce = row->nonce;
        heard(r);
    });
    leave(Side::server, lease);
}

void Agent::state_usage(const std::string& lease, bool is_final) {
    change(lease, [this](LeaseRecord& r) {
        r.stated_ms = std::max(r.stated_ms, r.meter.read(now()));
        r.usage_stated_boot_ms = now();
    });
    const LeaseRecord& r = *find(lease);
    market::ReportUsage usage;
    usage.lease = *LeaseId::parse(lease);
    usage.lease_epoch = r.desired.lease_epoch;
    usage.container = r.container_id;
    usage.boot = r.boot_id;
    usage.nonce = r.nonce;
    usage.sequence = r.usage_sequence + 1;
    usage.running = Millis(host_.is_lying ? 3 * r.stated_ms : r.stated_ms);
    const std::int64_t sent = machines_.containers.at(r.container_id).sent_until(world_.now());
    if (!host_.is_old) usage.egress_bytes = host_.is_lying ? 3 * sent : sent;
    usage.final = is_final;
    usage.statement = agent::usage_statement(r, usage.running.count, is_final);
    usage.statement_sha256 = "sha256";
    usage.signature = "signature";
    request(usage, [this, lease, is_final](const Answer* answer) { heard_usage(lease, is_final, answer); });
}

void Agent::heard_usage(const std::string& lease, bool is_final, const Answer* answer) {
    if (answer == nullptr) return leave(Side::server, lease, true);
    if (answer->outcome) {
        const market::Lease& row = std::get<market::UsageAccepted>(*answer->outcome).lease;
        change(lease, [&](LeaseRecord& r) {
            r.nonce = row.nonce;
            r.usage_sequence = row.usage_sequence;
            if (row.paid_until) r.paid_until_boot_ms = row.paid_until->ms - server_offset_;
            if (is_final) r.final_usage_stated = true;
        });
        return leave(Side::server, lease);
    }
    // A reply was lost: the server has the statement before this one already.
    if (answer->body == "nonce_mismatch" || answer->body == "usage_not_monotone") return read_nonce(lease);
    if (!is_final_refusal(*answer)) return leave(Side::server, lease, true);
    if (is_final) change(lease, [](LeaseRecord& r) { r.final_usage_stated = true; });
    leave(Side::server, lease);
}

void Agent::read_nonce(const std::string& lease) {
    Server& server = any_server();
    ask<DesiredRows>(
        network_, *this, host_.line, server, request_timeout,
        [&server, id = host_.id()](auto answer) { server.desired(id, "", Millis(0), std::move(answer)); },
        [this, lease](const DesiredRows* rows) {
            if (rows != nullptr && rows->is_known)
                for (const DesiredRow& row : rows->leases)
                    if (row.lease.id.text() == lease)
                        change(lease, [&](LeaseRecord& r) {
                            r.nonce = row.lease.nonce;
                            r.usage_sequence = row.lease.usage_sequence;
                        });
            leave(Side::server, lease, true);
        });
}

// --- the lane that looks how the job is

void Agent::watch_work(const agent::Action& action) {
    later(world_.random.span(5, 120), [this, lease = action.lease_id, kind = action.kind] {
        const LeaseRecord* r = find(lease);
        if (r == nullptr) return;  // taken from us meanwhile
        const Container* container = host_.find(r->container_id);
        const bool runs = container != nullptr && container->state == agent::ContainerState::running;
        if (runs && kind == ActionKind::check_health) check_health(lanes_[lease], *container);
        if (runs && kind == ActionKind::sample_use) sample_use(lanes_[lease], *container);
        leave(Side::watch, lease, !runs);
    });
}

void Agent::check_health(Lanes& lanes, const Container& container) {
    const auto& sickens_after = container.program.sickens_after;
    const bool is_sick = sickens_after && container.ran_until(world_.now()) >= *sickens_after;
    lanes.health_checked_boot_ms = now();
    lanes.health_failures = is_sick ? lanes.health_failures + 1 : 0;
}

/// The first sample has nothing to be compared with, and what is not known counts as busy.
void Agent::sample_use(Lanes& lanes, const Container& container) {
    const auto& idles_after = container.program.idles_after;
    const bool is_idle = idles_after && container.ran_until(world_.now()) >= *idles_after;
    const bool is_known = lanes.use_sampled_boot_ms != 0;
    lanes.use_sampled_boot_ms = now();
    if (!is_idle || !is_known) lanes.busy_boot_ms = now();
}

}  // namespace fallow::sim
