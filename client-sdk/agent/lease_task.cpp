#include "agent/lease_task.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/gang_tunnels.hpp"
#include "agent/oom.hpp"
#include "agent/usage.hpp"
#include "guard/process.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t detail_bytes_max = 500;
constexpr std::int64_t exit_code_of_kill = 137;
/// Below what the server leaves between a fence and a loss (its settings confirm_ms and kill_ms).
constexpr std::int64_t start_late_ms = 2000;

/// When a container began that this agent, or one before it, started without noting it. The wall clock,
/// which somebody may have set since, has no part in it but for the length of a run that is over.
std::int64_t began_boot_ms(const ContainerInspection& inspection, std::int64_t now) {
    if (const auto ticks = guard::start_ticks_of(inspection.pid))
        return std::clamp<std::int64_t>(guard::ticks_to_boot_ms(*ticks), 0, now);
    if (inspection.finished_unix_ms == 0) return now;
    return std::clamp<std::int64_t>(now - (inspection.finished_unix_ms - inspection.started_unix_ms), 0,
                                    now);
}

/// A record from before this boot of the host: its moments on the boot clock mean nothing any more, and
/// whatever ran has ended with the host.
void forget_moments_of_another_boot(LeaseRecord& record, const std::string& boot_id) {
    if (record.boot_id == boot_id) return;
    record.meter.counting = false;
    record.meter.counted_at_boot_ms = 0;
    record.started_boot_ms = 0;
    record.paused_boot_ms = 0;
    record.usage_stated_boot_ms = 0;
    record.checkpoint_boot_ms = 0;
    record.outputs_boot_ms = 0;
    record.prepare_boot_ms = 0;
    record.image_boot_ms = 0;
    record.own_stop_boot_ms = 0;
    record.paid_until_boot_ms = 0;
    if (record.reclaim_until_boot_ms) record.reclaim_until_boot_ms = 0;
    record.desired.paid_until_boot_ms.reset();
    record.desired.run_until_boot_ms.reset();
    if (record.restart) record.exit = std::exchange(record.restart, std::nullopt)->after;
    // The statement names the boot that was reported with `running`, so a started lease keeps its boot id.
    if (!record.started) record.boot_id = boot_id;
}

bool is_temporary(const std::optional<JobSpec>& spec, std::int64_t exit_code) {
    if (!spec) return false;
    const auto& codes = spec->retry_exit_codes;
    return std::find(codes.begin(), codes.end(), exit_code) != codes.end();
}

/// When the container ended. An exit is noticed late; the engine knows how long it was there, so the time
/// since is not counted, and neither is a freeze that lies within. A wall clock that was set back meanwhile
/// proves nothing.
std::int64_t finished_boot_ms(const LeaseRecord& record,
                              const std::optional<ContainerInspection>& inspection, std::int64_t now) {
    const bool is_known = inspection && inspection->finished_unix_ms > 0 && record.started_boot_ms != 0 &&
                          inspection->finished_unix_ms >= inspection->started_unix_ms;
    if (!is_known) return now;
    const std::int64_t span = inspection->finished_unix_ms - inspection->started_unix_ms;
    return std::min(now, record.started_boot_ms + span);
}

}  // namespace

LeaseTask::LeaseTask(const TaskContext& context, LeaseRecord record)
    : context_(context),
      record_(std::move(record)),
      storage_(context.state.lease_folder(record_.desired.lease_id), context.state.volumes_folder()),
      runtime_(context.connect()),
      server_(context.state, context.server_unix_ms, context.connections),
      inputs_(context.state, context.server_unix_ms, context.connections),
      checkpoints_(context.state, context.server_unix_ms, context.connections) {
    forget_moments_of_another_boot(record_, context_.boot_id);
    // The first one says no more than the server does, and each that follows is synced: before the server
    // gives out anything for the lease, and before its container starts.
    context_.state.save_record(record_, context_.state.has_record(record_.desired.lease_id));
    if (context_.gangs && record_.gang_port != 0 && !record_.removed)
        context_.gangs->keep_port(record_.desired.lease_id, static_cast<std::uint16_t>(record_.gang_port));
    if (record_.started && !record_.logs_drained) ship_logs(false);
    runtime_->watch_pulls(note_progress());
    const std::string& id = record_.desired.lease_id;
    engine_lane_ = std::make_unique<Lane>(id, context_.wake);
    server_lane_ = std::make_unique<Lane>(id, context_.wake);
    checkpoint_lane_ = std::make_unique<Lane>(id, context_.wake);
    watch_lane_ = std::make_unique<Lane>(id, context_.wake);
}

LeaseTask::~LeaseTask() {
    engine_lane_.reset();
    server_lane_.reset();
    checkpoint_lane_.reset();
    watch_lane_.reset();
    log_shipper_.reset();
    context_.progress->forget(record_.desired.lease_id);
}

LeaseSeen LeaseTask::seen() const {
    LeaseSeen seen;
    // The lanes first: a lane that has become idle has its facts in the record by then.
    const std::string doing = engine_lane_->current();
    seen.engine_lane_busy = !doing.empty();
    seen.preparing = doing == name_of(ActionKind::prepare);
    seen.guest_is_fresh = doing.empty() && guest_is_fresh_;
    const std::string saying = server_lane_->current();
    seen.server_lane_busy = !saying.empty();
    const std::string saving = checkpoint_lane_->current();
    seen.checkpoint_lane_busy = !saving.empty();
    seen.saving_running =
        saving == name_of(ActionKind::save_checkpoint) || saving == name_of(ActionKind::save_outputs);
    seen.watch_lane_busy = watch_lane_->busy();
    const std::lock_guard lock(mutex_);
    seen.health_checked_boot_ms = looks_.health_checked_boot_ms;
    seen.health_failures = looks_.health_failures;
    seen.use_sampled_boot_ms = looks_.use_sampled_boot_ms;
    seen.busy_boot_ms = looks_.busy_boot_ms;
    seen.record = record_;
    seen.telling_start = saying == name_of(ActionKind::report_running) && !record_.running_reported;
    return seen;
}

LeaseRecord LeaseTask::record() const {
    const std::lock_guard lock(mutex_);
    return record_;
}

LeaseRecord LeaseTask::change(const Change& change, bool synced) {
    const std::lock_guard lock(mutex_);
    LeaseRecord changed = record_;
    change(changed);
    context_.state.save_record(changed, synced);
    record_ = changed;
    return changed;
}

OnProgress LeaseTask::note_progress() const {
    return [book = context_.progress, id = record().desired.lease_id](const TransferProgress& progress) {
        book->note(id, progress);
    };
}

void LeaseTask::update(const DesiredLease& desired) {
    change([&](LeaseRecord& r) {
        if (r.nonce.empty() || desired.usage_sequence > r.usage_sequence) {
            r.nonce = desired.nonce;
            r.usage_sequence = desired.usage_sequence;
        }
        r.desired = desired;
    });
}

void LeaseTask::reclaim(std::int64_t until_boot_ms) {
    const LeaseRecord r =
        change([&](LeaseRecord& changed) { changed.reclaim_until_boot_ms = until_boot_ms; });
    spdlog::info("lease {} is taken back by the owner within {} ms", r.desired.lease_id,
                 std::max<std::int64_t>(0, until_boot_ms - boot_clock_ms()));
}

void LeaseTask::tell_server(ActionKind kind) {
    const auto on = [&](std::function<void(std::stop_token)> work) {
        server_lane_->post(std::string(name_of(kind)), std::move(work));
    };
    switch (kind) {
        case ActionKind::report_accepted:
            return on([this](std::stop_token) { report_accepted(); });
        case ActionKind::report_gang:
            return on([this](std::stop_token) { report_gang(); });
        case ActionKind::report_running:
            return on([this](std::stop_token) { report_running(); });
        case ActionKind::report_exited:
            return on([this](std::stop_token) { say("exited", &LeaseRecord::exit_reported); });
        case ActionKind::report_failed:
            return on([this](std::stop_token) { say("failed", &LeaseRecord::failure_reported); });
        case ActionKind::report_gone:
            return on([this](std::stop_token) { report_gone(); });
        case ActionKind::report_reclaimed:
            return on([this](std::stop_token) { report_reclaimed(); });
        case ActionKind::state_usage:
            return on([this](std::stop_token) { state_usage(false); });
        case ActionKind::state_final_usage:
            return on([this](std::stop_token) { state_usage(true); });
        case ActionKind::upload_outputs:
            return on([this](std::stop_token) { upload(); });
        default:
            return;  // no word to the server
    }
}

void LeaseTask::carry_out(const Action& action) {
    const auto on = [&](const std::unique_ptr<Lane>& lane, std::function<void(std::stop_token)> work) {
        lane->post(std::string(name_of(action.kind)), std::move(work));
    };
    switch (action.kind) {
        case ActionKind::stop_own:
            return stop_own(action.cause);
        case ActionKind::check_health:
            return on(watch_lane_, [this](std::stop_token stop) { check_health(stop); });
        case ActionKind::sample_use:
            return on(watch_lane_, [this](std::stop_token) { sample_use(); });
        case ActionKind::fail_start:
            return on(engine_lane_, [this](std::stop_token) { fail_start(); });
        case ActionKind::refuse_cards:
            return on(engine_lane_, [this](std::stop_token) { refuse_cards(); });
        case ActionKind::save_outputs:
            return on(checkpoint_lane_, [this](std::stop_token stop) { save_outputs(stop); });
        case ActionKind::cancel_prepare:
            return engine_lane_->interrupt();
        case ActionKind::prepare:
            return on(engine_lane_, [this](std::stop_token stop) { prepare(stop); });
        case ActionKind::start:
            return on(engine_lane_, [this, planned = boot_clock_ms(), is_fresh = action.is_fresh](
                                        std::stop_token) { start(planned, is_fresh); });
        case ActionKind::terminate:
            return on(engine_lane_,
                      [this, action](std::stop_token) { terminate(action.cause, action.until_boot_ms); });
        case ActionKind::kill:
            return on(engine_lane_, [this, cause = action.cause](std::stop_token) { kill(cause); });
        case ActionKind::resume:
            return on(engine_lane_, [this](std::stop_token) { resume(); });
        case ActionKind::record_exit:
            return on(engine_lane_, [this](std::stop_token) { record_exit(); });
        case ActionKind::tell_restart:
            return on(engine_lane_, [this](std::stop_token) { tell_restart(); });
        case ActionKind::ready_restart:
            return on(engine_lane_, [this](std::stop_token) { ready_restart(); });
        case ActionKind::give_up_restart:
            return on(engine_lane_,
                      [this, cause = action.cause](std::stop_token) { give_up_restart(cause); });
        case ActionKind::remove:
            return on(engine_lane_, [this](std::stop_token) { remove(); });
        case ActionKind::discard:
            return on(engine_lane_, [this](std::stop_token) { discard(); });
        case ActionKind::report_accepted:
        case ActionKind::report_gang:
        case ActionKind::report_running:
        case ActionKind::report_exited:
        case ActionKind::report_failed:
        case ActionKind::report_gone:
        case ActionKind::report_reclaimed:
        case ActionKind::state_usage:
        case ActionKind::state_final_usage:
        case ActionKind::upload_outputs:
            return tell_server(action.kind);
        case ActionKind::save_checkpoint:
            return on(checkpoint_lane_, [this](std::stop_token stop) { save_checkpoint(false, stop); });
        case ActionKind::save_last_checkpoint:
            return on(checkpoint_lane_, [this](std::stop_token stop) { save_checkpoint(true, stop); });
        case ActionKind::cancel_checkpoint:
            return checkpoint_lane_->interrupt();
        case ActionKind::adopt:
        case ActionKind::update:
        case ActionKind::reclaim:
        case ActionKind::forget:
        case ActionKind::remove_orphan:
        case ActionKind::scrub:
        case ActionKind::abandon_scrub:
            return;  // the agent's own
    }
}

void LeaseTask::fail(const char* reason, const std::string& detail) {
    const LeaseRecord r = record();
    spdlog::warn("lease {} failed: {}: {}", r.desired.lease_id, reason, detail);
    if (r.restart) return give_up_restart(StopCause::none);
    change([&](LeaseRecord& changed) {
        changed.failure = LeaseFailure{reason, detail.substr(0, detail_bytes_max)};
    });
}

void LeaseTask::note_started(const ContainerInspection& inspection, bool just_now) {
    const std::int64_t now = boot_clock_ms();
    change([&](LeaseRecord& r) {
        r.started = true;
        r.boot_id = context_.boot_id;
        r.started_boot_ms = just_now ? now : began_boot_ms(inspection, now);
        r.meter.resume(r.started_boot_ms);
        r.usage_stated_boot_ms = now;
        if (r.restart) ++r.restarts;
        r.restart.reset();
        r.logs_drained = false;
    });
    spdlog::debug("{} has its command running", record().desired.lease_id);
    // At once, and not after another look at the engine; should the lane be busy, the next round reports
    // it.
    server_lane_->post_if_idle(std::string(name_of(ActionKind::report_running)),
                               [this](std::stop_token) { report_running(); });
    watch(inspection);
    ship_logs(just_now);
}

/// Whether a container that is not known to be fresh has to be started; else it is noted what it is.
bool LeaseTask::is_to_be_started(const std::string& id) {
    const auto inspection = runtime_->inspect(id);
    if (!inspection && record().restart) {
        fail("start_failed", "its container is gone");
        return false;
    }
    if (!inspection) {
        change([](LeaseRecord& r) { r.container_id.clear(); });
        return false;
    }
    if (is_before_restart(*inspection)) return true;
    if (inspection->ever_started) {
        if (record().connected)
            note_started(*inspection, false);
        else
            start_over(id);
        return false;
    }
    if (inspection->state != ContainerState::exited) return true;
    fail("start_failed", "it ended before it was started");
    return false;
}

/// A guest that was started by an agent which was killed before that had connected it: it is as if it had
/// never been made.
void LeaseTask::start_over(const std::string& id) {
    spdlog::warn("lease {} is prepared anew: its guest has begun without a network",
                 record().desired.lease_id);
    runtime_->remove(id);
    end_at_guard();
    change([](LeaseRecord& r) { r.container_id.clear(); });
}

void LeaseTask::start(std::int64_t planned_boot_ms, bool is_fresh) {
    guest_is_fresh_ = false;
    const std::string id = record().container_id;
    if (context_.before_guest) context_.before_guest(record().desired.cards);
    if (!is_fresh && !is_to_be_started(id)) return;
    watch({});  // before it runs: nothing computes unguarded
    if (!join_gang(id)) return;
    // This process may have stood still since the plan, and the server have given the lease up.
    if (boot_clock_ms() - planned_boot_ms > start_late_ms) throw std::runtime_error("the plan is too old");
    std::future<void> synced;
    if (is_fresh) synced = std::async(std::launch::async, [this] { change([](LeaseRecord&) {}); });
    try {
        const auto connected = [this] { change([](LeaseRecord& r) { r.connected = true; }, false); };
        const auto started = runtime_->start(id, traffic_terms(record()), connected);
        if (!started) return end_at_guard();  // the next round makes another
        note_started(*started, true);
    } catch (const RuntimeError& error) {
        fail("start_failed", error.what());
    }
}

void LeaseTask::ship_logs(bool has_just_started) {
    const LeaseRecord r = record();
    const std::string id = r.container_id;
    LogShipperParts parts;
    parts.lease_id = r.desired.lease_id;
    // The reader and the sender have threads of their own, so each gets a connection of its own.
    const std::shared_ptr<Runtime> runtime = context_.connect();
    const auto server =
        std::make_shared<ServerLink>(context_.state, context_.server_unix_ms, context_.connections);
    parts.read = [runtime, id](bool follow, const LogDemuxer::OnData& on_data, std::stop_token stop) {
        runtime->logs(id, follow, on_data, stop);
    };
    parts.has_just_started = has_just_started;
    parts.container_ended = [runtime, id] {
        const auto inspection = runtime->inspect(id);
        return !inspection || inspection->state == ContainerState::exited;
    };
    parts.send = [server, lease_id = parts.lease_id](std::int64_t first,
                                                     const std::vector<LogEntry>& entries) {
        return server->append_logs(lease_id, first, entries);
    };
    parts.unix_ms = context_.server_unix_ms;
    parts.save = [this, lease_id = parts.lease_id](const LogPosition& position) {
        context_.state.save_log_position(lease_id, position);
    };
    parts.notice = [this] { return due_notice(); };
    parts.on_drained = [this] {
        change([](LeaseRecord& changed) { changed.logs_drained = true; });
        context_.wake();
    };
    log_shipper_ =
        std::make_unique<LogShipper>(std::move(parts), context_.state.log_position(r.desired.lease_id));
}

/// For what the renter's program asks of it in its own time, and for one that missed the signal.
void LeaseTask::write_notice(StopCause cause, std::int64_t until_boot_ms) {
    const LeaseRecord r = record();
    const bool is_own = cause == StopCause::unhealthy || cause == StopCause::idle;
    const std::string reason = cause == StopCause::reclaimed ? "reclaimed_by_owner"
                               : is_own                      ? std::string(name_of(cause))
                                                             : r.desired.stop_reason;
    // By the clock that the container reads, too.
    const std::int64_t until_unix_ms = wall_clock_ms() + until_boot_ms - boot_clock_ms();
    try {
        storage_.write_notice("reason=" + reason + "\ndeadline=" + format_rfc3339(until_unix_ms) +
                              "\ndeadline_unix_ms=" + std::to_string(until_unix_ms) + "\n");
    } catch (const std::exception& error) {
        spdlog::warn("lease {} gets the signal without its file: {}", r.desired.lease_id, error.what());
    }
}

void LeaseTask::terminate(StopCause cause, std::int64_t until_boot_ms) {
    write_notice(cause, until_boot_ms);  // before the signal, whose handler may read it
    const LeaseRecord r = change([&](LeaseRecord& changed) {
        changed.stop_cause = cause;
        changed.terminated_boot_ms = boot_clock_ms();
    });
    spdlog::info("lease {} is told to stop: {}", r.desired.lease_id, name_of(cause));
    if (runtime_->signal(r.container_id, "SIGTERM")) return;
    // It had ended by itself already, and is not to be taken for one that was stopped.
    change([](LeaseRecord& changed) { changed.stop_cause = StopCause::none; });
}

void LeaseTask::kill(StopCause cause) {
    const LeaseRecord r = change([&](LeaseRecord& changed) {
        changed.stop_cause = cause;
        changed.kill_sent = true;
    });
    spdlog::info("lease {} is killed: {}", r.desired.lease_id, name_of(cause));
    if (r.paused_boot_ms != 0) context_.guard.kill(r.container_id);
    runtime_->signal(r.container_id, "SIGKILL");
    runtime_->resume(r.container_id);  // a paused process dies only when it is resumed
}

void LeaseTask::resume() {
    const std::string id = record().container_id;
    forget_looks();  // before it runs: they were at something that stood still
    const std::int64_t at = context_.guard.thaw(id);
    runtime_->resume(id);  // no harm where the guard froze it without the engine
    change([&](LeaseRecord& r) {
        r.paused_boot_ms = 0;
        r.meter.resume(at);
    });
}

/// What a guest on another host has written lies in an image file, until it is to be uploaded.
void LeaseTask::attach_outputs() {
    const LeaseRecord r = record();
    if (runtime_->is_here(r.desired.cards)) return;
    try {
        storage_.attach(true);
    } catch (const std::exception& error) {
        spdlog::error("lease {} has no outputs: {}", r.desired.lease_id, error.what());
    }
}

ContainerExit LeaseTask::exit_of(const std::optional<ContainerInspection>& inspection,
                                 std::int64_t oom_kills) const {
    ContainerExit exit;
    exit.exit_code = inspection ? inspection->exit_code : exit_code_of_kill;
    const bool oom = (inspection && inspection->oom_killed) || oom_kills > record().oom_kills;
    exit.oom_killed = oom && exit.exit_code != 0;
    return exit;
}

void LeaseTask::record_exit() {
    const std::string id = record().container_id;
    const auto inspection = runtime_->inspect(id);
    const std::int64_t now = boot_clock_ms();
    // What was seen to have exited may have been started again since that look.
    if (inspection && inspection->state == ContainerState::running) return;
    ask_guard();
    attach_outputs();
    const GuestTraffic traffic = look_at_traffic();
    const std::int64_t oom_kills = oom_kills_of(id);
    ContainerExit exit = exit_of(inspection, oom_kills);
    const LeaseRecord r = change([&](LeaseRecord& changed) {
        changed.egress_bytes = std::max(changed.egress_bytes, traffic.sent_bytes);
        exit.duration_exceeded = changed.stop_cause == StopCause::duration;
        exit.is_temporary = is_temporary(changed.desired.spec, exit.exit_code);
        changed.meter.pause(finished_boot_ms(changed, inspection, now));
        if (inspection && inspection->finished_unix_ms > 0) {
            const std::int64_t span = inspection->finished_unix_ms - inspection->started_unix_ms;
            if (span >= 0) changed.meter.settle(changed.earlier_ms + span, changed.stated_ms);
            await_restart(changed, exit, inspection->finished_unix_ms);
        }
        changed.earlier_ms = changed.meter.accumulated_ms;
        changed.oom_kills = oom_kills;
        if (!changed.restart) changed.exit = exit;
    });
    spdlog::info("lease {} has exited with code {}{} after {} ms", r.desired.lease_id, exit.exit_code,
                 exit.oom_killed ? " (out of memory)" : "", r.meter.accumulated_ms);
}

void LeaseTask::remove() {
    guest_is_fresh_ = false;
    const std::string id = record().container_id;
    log_shipper_.reset();
    end_at_guard();
    if (!id.empty()) runtime_->remove(id);
    leave_gang();
    forget_traffic();
    storage_.wipe();
    change([](LeaseRecord& r) { r.removed = true; });
}

void LeaseTask::discard() {
    const LeaseRecord r = record();
    spdlog::info("lease {} is no longer ours", r.desired.lease_id);
    log_shipper_.reset();
    end_at_guard();
    if (!r.container_id.empty()) runtime_->remove(r.container_id);
    leave_gang();
    forget_traffic();
    storage_.wipe();
    context_.state.forget(r.desired.lease_id);
    discarded_ = true;
}

}  // namespace fallow::agent
