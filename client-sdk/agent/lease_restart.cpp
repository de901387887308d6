// The part of LeaseTask that starts a container again which has ended by itself, as its job asks: the same
// container, with its volume, its users and its place in the log. Until it runs again nothing is metered.
#include <spdlog/spdlog.h>

#include <fmt/format.h>

#include "agent/clock.hpp"
#include "agent/lease_task.hpp"
#include "agent/restart_policy.hpp"

namespace fallow::agent {
namespace {

std::string restart_line(const LeaseRecord& r, const ContainerExit& exit, std::int64_t delay_ms) {
    return fmt::format("fallow: ended with exit code {}{}; restart {} of {} follows in {:g} s\n",
                       exit.exit_code, exit.oom_killed ? " (out of memory)" : "", r.restarts + 1,
                       r.desired.spec->restart->restarts_max, static_cast<double>(delay_ms) / 1000);
}

}  // namespace

/// Under the record's lock. A statement of usage names the boot that the container was reported with.
void LeaseTask::await_restart(LeaseRecord& r, const ContainerExit& exit, std::int64_t finished_unix_ms) {
    const auto delay_ms = restart_delay_ms(r, exit);
    if (!delay_ms || r.boot_id != context_.boot_id) return;
    r.restart = AwaitedRestart{exit, finished_unix_ms, boot_clock_ms() + *delay_ms,
                               restart_line(r, exit, *delay_ms), false};
}

/// In the log after all of its output, which has been sent.
void LeaseTask::tell_restart() {
    const LeaseRecord r = record();
    const std::string& id = r.desired.lease_id;
    LogPosition position = context_.state.log_position(id);
    position.pending.clear();
    try {
        position.next_sequence =
            inputs_.append_logs(id, position.next_sequence,
                                {{LogStream::standard_error, context_.server_unix_ms(), r.restart->line}});
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        spdlog::debug("the server takes no more log of {}: {}", id, error.what());
    }
    context_.state.save_log_position(id, position);
    change([](LeaseRecord& changed) { changed.restart->line.clear(); });
}

/// Whether it is as it was when it ended, or made ready since.
bool LeaseTask::is_before_restart(const ContainerInspection& inspection) const {
    const LeaseRecord r = record();
    if (!r.restart) return false;
    if (inspection.state == ContainerState::created) return true;
    return inspection.state == ContainerState::exited &&
           inspection.finished_unix_ms == r.restart->finished_unix_ms;
}

/// It gets a process, and with that a network, anew. The guard knows its last process as ended.
void LeaseTask::ready_restart() {
    const LeaseRecord r = record();
    const auto inspection = runtime_->inspect(r.container_id);
    if (!inspection) return fail("start_failed", "its container is gone");
    // The engine's clean-up of that end would take away what is made ready here.
    if (inspection->is_ending) throw RuntimeUnreachable("the engine is not done with its end");
    end_at_guard();
    try {
        runtime_->connect(r.container_id, traffic_terms(r));
    } catch (const RuntimeError& error) {
        return fail("start_failed", error.what());
    }
    forget_looks();
    change([](LeaseRecord& changed) { changed.restart->is_ready = true; });
}

/// What has run has not failed to start: the lease ends as its container did.
void LeaseTask::give_up_restart(StopCause cause) {
    const LeaseRecord r = change([&](LeaseRecord& changed) {
        changed.stop_cause = cause;
        changed.exit = changed.restart->after;
        changed.exit->duration_exceeded = cause == StopCause::duration;
        changed.restart.reset();
    });
    spdlog::info("lease {} is not started again: it has exited with code {} after {} ms",
                 r.desired.lease_id, r.exit->exit_code, r.meter.accumulated_ms);
}

}  // namespace fallow::agent
