// The part of Agent that plans: rounds of the reconcile loop, and whom their actions go to.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/agent.hpp"
#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t unlooked_ms_max = 1000;  ///< as long as the longest pause between two rounds

/// What the guard froze without the engine is running as far as the engine knows.
void mark_frozen(Observed& observed) {
    for (ContainerSeen& container : observed.containers)
        for (const LeaseSeen& seen : observed.leases)
            if (seen.record.container_id == container.id && seen.record.paused_boot_ms != 0 &&
                container.state == ContainerState::running)
                container.state = ContainerState::paused;
}

}  // namespace

void Agent::heed_guard(const std::vector<std::shared_ptr<LeaseTask>>& tasks) {
    if (tasks.empty()) return;
    try {
        const std::vector<guard::Watched> watched = guard_.list();
        for (const auto& task : tasks)
            task->heed_guard(watched);
        if (!std::exchange(guard_was_reachable_, true)) spdlog::info("the guard is back");
    } catch (const std::exception& error) {
        if (std::exchange(guard_was_reachable_, false))
            spdlog::error("no container can be started: {}", error.what());
    }
    ask_about_frozen(tasks);
}

void Agent::ask_about_frozen(const std::vector<std::shared_ptr<LeaseTask>>& tasks) {
    std::int64_t latest = 0;
    for (const auto& task : tasks)
        latest = std::max(latest, task->seen().record.paused_boot_ms);
    const std::lock_guard lock(mutex_);
    const bool is_answered = desired_ != nullptr && desired_->asked_boot_ms > latest;
    if (latest <= asked_about_boot_ms_ || is_answered) return;
    asked_about_boot_ms_ = latest;
    poll_at_once();
}

/// What is known without asking anybody, with the containers of the last look.
Observed Agent::recall() {
    Observed observed;
    observed.engine_reachable = true;
    observed.containers = containers_;
    observed.used_cards = used_cards();
    const std::lock_guard lock(mutex_);
    observed.heartbeat_acknowledged_boot_ms = acknowledged_boot_ms_;
    observed.contact_since_boot_ms = contact_since_boot_ms_;
    observed.claims = claims();
    for (const auto& [id, task] : tasks_)
        observed.leases.push_back(task->seen());
    return observed;
}

/// Whether there is a lease for which the engine has to be asked. Of a container that is being made, or
/// about to be started, it knows nothing yet, and its answer would come after it; of one that was started
/// just now it knows no more than this agent, and what is asked would keep the server from hearing of it.
bool Agent::needs_look(const Desired* desired, const std::set<std::string>& begun) {
    if (cluster_ || boot_clock_ms() - looked_boot_ms_ >= unlooked_ms_max) return true;
    const std::lock_guard lock(mutex_);
    const auto is_unknown = [&](const DesiredLease& lease) { return !tasks_.contains(lease.lease_id); };
    if (tasks_.empty() || (desired != nullptr && std::ranges::any_of(desired->leases, is_unknown)))
        return true;
    return !std::ranges::all_of(tasks_, [&](const auto& entry) {
        if (begun.contains(entry.first)) return true;
        const LeaseSeen seen = entry.second->seen();
        return seen.preparing || seen.telling_start;
    });
}

Observed Agent::observe(bool looks) {
    Observed observed;
    std::vector<std::shared_ptr<LeaseTask>> tasks;
    {
        const std::lock_guard lock(mutex_);
        observed.heartbeat_acknowledged_boot_ms = acknowledged_boot_ms_;
        observed.contact_since_boot_ms = contact_since_boot_ms_;
        observed.claims = claims();
        for (const auto& [id, task] : tasks_)
            tasks.push_back(task);
    }
    heed_guard(tasks);
    // Records before containers: a container that a record names has to be in the list, or it is gone.
    for (const auto& task : tasks)
        observed.leases.push_back(task->seen());
    observed.used_cards = used_cards();
    if (!looks) return observed;
    try {
        observed.containers = runtime_->list();
        observed.engine_reachable = true;
        looked_boot_ms_ = boot_clock_ms();
        containers_ = observed.containers;
        mark_frozen(observed);
        if (!std::exchange(engine_was_reachable_, true)) spdlog::info("the container engine is back");
    } catch (const std::exception& error) {
        if (std::exchange(engine_was_reachable_, false))
            spdlog::error("the container engine does not answer: {}", error.what());
    }
    return observed;
}

void Agent::adopt(const DesiredLease& lease) {
    LeaseRecord record;
    record.desired = lease;
    record.boot_id = boot_id_;
    record.nonce = lease.nonce;
    record.usage_sequence = lease.usage_sequence;
    auto task = std::make_shared<LeaseTask>(*context_, std::move(record));
    {
        const std::lock_guard lock(mutex_);
        if (tasks_.empty()) beat_at_once_ = true;
        tasks_[lease.lease_id] = std::move(task);
    }
    std::vector<std::string> uuids;
    for (const LeaseCard& card : lease.cards)
        uuids.push_back(card.uuid);
    keeper_.yield(uuids);
    disk_.yield();
    network_.yield();
}

void Agent::carry_out(const Action& action, const Desired* desired) {
    const auto wanted = [&]() -> const DesiredLease& {
        return *std::find_if(desired->leases.begin(), desired->leases.end(),
                             [&](const DesiredLease& lease) { return lease.lease_id == action.lease_id; });
    };
    if (action.kind != ActionKind::state_usage && action.kind != ActionKind::update)
        spdlog::debug("{} {} {}", name_of(action.kind), action.lease_id, action.container_id);
    if (action.kind == ActionKind::adopt) return adopt(wanted());
    if (action.kind == ActionKind::remove_orphan) {
        spdlog::warn("container {} belongs to no lease of ours and is removed", action.container_id);
        return runtime_->remove(action.container_id);
    }
    if (action.kind == ActionKind::scrub) return scrubber_->scrub(action.card_uuid);
    if (action.kind == ActionKind::abandon_scrub) return scrubber_->abandon(action.card_uuid);
    std::shared_ptr<LeaseTask> task;
    {
        const std::lock_guard lock(mutex_);
        task = tasks_.at(action.lease_id);
        if (action.kind == ActionKind::forget) tasks_.erase(action.lease_id);
    }
    if (action.kind == ActionKind::update) return task->update(wanted());
    if (action.kind == ActionKind::reclaim) {
        wake();  // what follows from it is planned at once
        return task->reclaim(action.until_boot_ms);
    }
    if (action.kind == ActionKind::forget) return state_.forget(action.lease_id);
    task->carry_out(action);
}

void Agent::try_to(const Action& action, const Desired* desired) {
    try {
        carry_out(action, desired);
    } catch (const std::exception& error) {
        spdlog::error("{} of {} failed: {}", name_of(action.kind), action.lease_id, error.what());
    }
}

/// For these leases alone, and without another look at the engine: what it has of them is known. A
/// container that was made just now has never run; anything else of theirs had no record, and is removed.
void Agent::begin(const std::set<std::string>& lease_ids, const Desired* desired, Observed observed) {
    if (lease_ids.empty()) return;
    std::erase_if(observed.leases,
                  [&](const LeaseSeen& seen) { return lease_ids.contains(seen.record.desired.lease_id); });
    for (const std::string& id : lease_ids) {
        const std::lock_guard lock(mutex_);
        const auto found = tasks_.find(id);
        if (found == tasks_.end()) continue;
        LeaseSeen seen = found->second->seen();
        const LeaseRecord& record = seen.record;
        std::erase_if(observed.containers, [&](const ContainerSeen& container) {
            return container.lease_id == id && container.id != record.container_id;
        });
        const bool is_shown = std::ranges::any_of(observed.containers, [&](const ContainerSeen& container) {
            return container.id == record.container_id;
        });
        if (seen.guest_is_fresh && !is_shown)
            observed.containers.push_back(
                {record.container_id, id, record.desired.lease_epoch, ContainerState::created});
        observed.leases.push_back(std::move(seen));
    }
    for (const Action& action : reconcile(desired, observed, boot_clock_ms(), options_.limits))
        if (action.kind != ActionKind::adopt && lease_ids.contains(action.lease_id))
            try_to(action, desired);
}

/// New leases, and those whose container was made just now, wait for no look at the engine: nobody else
/// makes containers of this host. Which they were; not those of which something was left at the last look.
std::set<std::string> Agent::hurry(const Desired* desired) {
    std::set<std::string> begun;
    if (desired == nullptr || cluster_ || looked_boot_ms_ == 0 || !engine_was_reachable_) return begun;
    Observed observed = recall();
    for (const LeaseSeen& seen : observed.leases)
        if (seen.guest_is_fresh) begun.insert(seen.record.desired.lease_id);
    const auto has_left_something = [&](const std::string& lease_id) {
        return std::ranges::any_of(
            containers_, [&](const ContainerSeen& container) { return container.lease_id == lease_id; });
    };
    for (const Action& action : reconcile(desired, observed, boot_clock_ms(), options_.limits)) {
        if (action.kind != ActionKind::adopt || has_left_something(action.lease_id)) continue;
        try_to(action, desired);
        begun.insert(action.lease_id);
    }
    begin(begun, desired, std::move(observed));
    return begun;
}

void Agent::reconcile_once() {
    release_ended_owners();
    std::uint64_t heeded = 0;
    std::shared_ptr<const Desired> desired;
    // A task's end waits for its lanes, and they may wait for our mutex: it is left outside of it.
    std::vector<std::shared_ptr<LeaseTask>> over;
    {
        const std::lock_guard lock(mutex_);
        desired = desired_;
        heeded = claims_made_;
        for (const auto& [id, task] : tasks_)
            if (task->is_discarded()) over.push_back(task);
        std::erase_if(tasks_, [](const auto& entry) { return entry.second->is_discarded(); });
    }
    over.clear();
    const std::set<std::string> begun = hurry(desired.get());
    Observed observed = observe(needs_look(desired.get(), begun));
    std::set<std::string> adopted;
    for (const Action& action : reconcile(desired.get(), observed, boot_clock_ms(), options_.limits)) {
        try_to(action, desired.get());
        if (action.kind == ActionKind::adopt) adopted.insert(action.lease_id);
    }
    begin(adopted, desired.get(), std::move(observed));
    const std::lock_guard lock(mutex_);
    claims_heeded_ = heeded;
}

}  // namespace fallow::agent
