// The half of LeaseTask that talks to the guard: what it has to watch, and what it did meanwhile.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "agent/lease_task.hpp"
#include "guard/process.hpp"

namespace fallow::agent {
namespace {

const guard::Watched* find(const std::vector<guard::Watched>& all, const std::string& container) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const guard::Watched& watched) {
        return watched.container == container;
    });
    return found == all.end() ? nullptr : &*found;
}
const guard::Watched* find(std::vector<guard::Watched>&&, const std::string&) = delete;  // it would dangle

bool has_ended(const LeaseRecord& r) {
    return !r.started || r.exit || r.restart || r.container_id.empty();
}

}  // namespace

void LeaseTask::watch(const std::optional<ContainerInspection>& inspection) {
    const LeaseRecord r = record();
    if (!runtime_->is_here(r.desired.cards)) return;  // its job keeps the fence
    guard::Watched wanted;
    wanted.container = r.container_id;
    wanted.lease = r.desired.lease_id;
    wanted.epoch = r.desired.lease_epoch;
    wanted.fence_ms = r.desired.fence_ms;
    if (inspection)
        if (const auto ticks = guard::start_ticks_of(inspection->pid)) {
            wanted.pid = inspection->pid;
            wanted.start_ticks = *ticks;
        }
    context_.guard.watch(wanted);
}

void LeaseTask::heed_guard(const std::vector<guard::Watched>& all) {
    const LeaseRecord r = record();
    if (has_ended(r) || !runtime_->is_here(r.desired.cards)) return;
    const guard::Watched* const known = find(all, r.container_id);
    const bool is_known =
        known != nullptr && known->epoch == r.desired.lease_epoch &&
        (known->fence_ms == r.desired.fence_ms || known->state == guard::WatchState::killed);
    if (is_known) return take_over(*known);
    const auto runtime = context_.connect();  // the task's own belongs to its lane
    watch(runtime->inspect(r.container_id));
}

void LeaseTask::ask_guard() {
    const LeaseRecord r = record();
    if (has_ended(r)) return;
    const std::vector<guard::Watched> all = context_.guard.list();
    if (const guard::Watched* const known = find(all, r.container_id)) take_over(*known);
}

void LeaseTask::take_over(const guard::Watched& watched) {
    const LeaseRecord r = record();
    if (watched.state == guard::WatchState::running) {
        // Thawed by an agent that was killed before it could note it.
        if (r.paused_boot_ms != 0 && watched.thawed_boot_ms > r.paused_boot_ms)
            change([&](LeaseRecord& changed) {
                changed.paused_boot_ms = 0;
                changed.meter.resume(watched.thawed_boot_ms);
            });
        return;
    }
    if (watched.frozen_boot_ms > r.paused_boot_ms)
        change([&](LeaseRecord& changed) {
            changed.meter.pause(watched.frozen_boot_ms);
            changed.paused_boot_ms = watched.frozen_boot_ms;
        });
    if (watched.state == guard::WatchState::killed && r.stop_cause == StopCause::none)
        change([](LeaseRecord& changed) {
            changed.stop_cause = StopCause::fenced_too_long;
            changed.kill_sent = true;
        });
}

/// What is frozen must not wake up while the engine removes it.
void LeaseTask::end_at_guard() {
    const LeaseRecord r = record();
    if (r.container_id.empty()) return;
    try {
        if (r.paused_boot_ms != 0) context_.guard.kill(r.container_id);
        context_.guard.drop(r.container_id);
    } catch (const GuardRefusal& refusal) {
        spdlog::debug("container {} at its end: {}", r.container_id, refusal.what());
    }
}

}  // namespace fallow::agent
