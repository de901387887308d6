// The agent's loops: heartbeat, desired state, inventory, reconcile; and the guard.
#include "simulation/agent.hpp"

#include <algorithm>

namespace fallow::sim {

using agent::ActionKind;
using agent::ContainerState;
using agent::LeaseRecord;

namespace {

constexpr Millis beat_every = seconds(5);
constexpr Millis beat_timeout = seconds(2);
constexpr Millis poll_wait = seconds(20);
constexpr Millis round = Millis(800);
constexpr Millis fence = seconds(10);
constexpr std::int64_t health_failures_max = 2;
constexpr Millis idle_for = seconds(10);

/// A record of another boot of the host, as LeaseTask's constructor treats it.
void forget_moments_of_another_boot(LeaseRecord& record, const std::string& boot_id) {
    if (record.boot_id == boot_id) return;
    record.meter.counting = false;
    record.meter.counted_at_boot_ms = 0;
    record.started_boot_ms = 0;
    record.paused_boot_ms = 0;
    record.usage_stated_boot_ms = 0;
    record.paid_until_boot_ms = 0;
    record.desired.paid_until_boot_ms.reset();
    record.desired.run_until_boot_ms.reset();
    if (record.reclaim_until_boot_ms) record.reclaim_until_boot_ms = 0;
    if (!record.started) record.boot_id = boot_id;
}

std::string uuid_of(int index) {
    return "GPU-" + std::to_string(index);
}

/// As api/desired.cpp says it.
bool wants_stop(const market::Lease& lease) {
    return lease.stop_reason || lease.state == market::LeaseState::reclaiming ||
           lease.state == market::LeaseState::ended;
}

}  // namespace

Agent::Agent(World& world, Network& network, Machines& machines, Host& host, OrganizationId owner,
             std::vector<Server*> servers, Millis pinned_lost)
    : Process(world, "agent of " + host.name()),
      network_(network),
      machines_(machines),
      host_(host),
      caller_{owner, false, host.id(), host.id().text()},
      servers_(std::move(servers)),
      pinned_lost_(pinned_lost) {
    guard();
}

void Agent::on_boot() {
    version_.clear();
    desired_.reset();
    contact_since_ = asked_about_ = 0;
    is_telling_inventory_ = is_inventory_old_ = false;
    for (auto& [id, record] : records_)
        forget_moments_of_another_boot(record, host_.boot_id());
    report_inventory();
    heartbeat();
    poll();
    reconcile();
}

void Agent::on_killed() {
    lanes_.clear();
    desired_.reset();
}

void Agent::reboot_host() {
    kill();
    host_.reboot();
    book_ = guard::Book(limits_.fenced_ms_max);
    acknowledged_ = 0;
    for (auto& [uuid, claim] : claims_)
        claim.since_boot_ms = 0;
}

void Agent::take_card(int index, bool at_once) {
    const std::string uuid = uuid_of(index);
    const auto [claim, is_new] = claims_.try_emplace(uuid, agent::OwnerClaim{uuid, now(), true, at_once});
    if (!is_new) claim->second.at_once = claim->second.at_once || at_once;
    if (is_up()) report_inventory();
}

void Agent::release_cards() {
    claims_.clear();
    if (is_up()) report_inventory();
}

LeaseRecord* Agent::find(const std::string& lease) {
    const auto at = records_.find(lease);
    return at == records_.end() ? nullptr : &at->second;
}

void Agent::change(const std::string& lease, const Change& change) {
    if (LeaseRecord* record = find(lease)) change(*record);
}

bool Agent::note_epoch(std::int64_t epoch) {
    if (epoch < highest_epoch_) return false;
    highest_epoch_ = epoch;
    return true;
}

// --- heartbeat

void Agent::heartbeat() {
    const std::int64_t sent = now();
    const HostId id = host_.id();
    Server& server = *servers_[beat_server_];
    ask<std::optional<Beaten>>(
        network_, *this, host_.line, server, beat_timeout,
        [&server, id](auto answer) { server.heartbeat(id, std::move(answer)); },
        [this, sent](const std::optional<Beaten>* answer) {
            const bool is_heard = answer != nullptr && *answer && note_epoch((*answer)->epoch);
            if (is_heard)
                acknowledged(sent, **answer);
            else
                beat_server_ = (beat_server_ + 1) % servers_.size();
            later(is_heard ? world_.random.span(4500, 5500) : world_.random.span(900, 1100),
                  [this] { heartbeat(); });
        });
}

void Agent::acknowledged(std::int64_t sent, const Beaten& beaten) {
    server_offset_ = beaten.server_time.ms - (sent + (now() - sent) / 2);
    book_.heartbeat(sent);
    const Millis gap = beat_every + beat_timeout + beat_timeout;
    const bool after_gap = contact_since_ == 0 || sent - acknowledged_ >= gap.count;
    acknowledged_ = std::max(acknowledged_, sent);
    if (!after_gap) return;
    contact_since_ = sent;
    // Frozen containers wait to hear that they are still wanted; a poll from before may hang for long.
    version_.clear();
    poll();
}

// --- desired state

void Agent::poll() {
    const std::uint64_t number = ++poll_;
    const std::int64_t asked = now();
    Server& server = any_server();
    ask<DesiredRows>(
        network_, *this, host_.line, server, poll_wait + seconds(5),
        [&server, id = host_.id(), version = version_](auto answer) {
            server.desired(id, version, poll_wait, std::move(answer));
        },
        [this, number, asked](const DesiredRows* rows) {
            if (number != poll_) return;  // another poll has taken its place
            if (rows != nullptr && rows->is_known) {
                take_desired(*rows, asked);
                return poll();
            }
            version_.clear();
            later(world_.random.span(900, 1100), [this, number] {
                if (number == poll_) poll();
            });
        });
}

agent::DesiredLease Agent::translated(const DesiredRow& row, const DesiredRows& rows) const {
    const market::Lease& lease = row.lease;
    const auto on_boot_clock = [&](Time at) { return now() + (at - rows.server_time).count; };
    agent::DesiredLease wanted;
    wanted.lease_id = lease.id.text();
    wanted.lease_epoch = lease.epoch;
    wanted.run = !wants_stop(lease);
    wanted.attempt = lease.attempt;
    wanted.nonce = lease.nonce;
    wanted.usage_sequence = lease.usage_sequence;
    wanted.usage_interval_ms = 7'000;
    wanted.reclaim_notice_ms = lease.reclaim_notice.count;
    for (const std::string& uuid : row.card_uuids)
        wanted.cards.push_back({"", uuid, "nvml", "gpu", 0});
    wanted.fence_ms = (fence + (lease.pinned ? pinned_lost_ : Millis(0))).count;
    wanted.grace_until_boot_ms = now();
    if (lease.state == market::LeaseState::running && lease.reclaim_deadline)
        wanted.grace_until_boot_ms = std::max(now(), on_boot_clock(*lease.reclaim_deadline));
    if (lease.paid_until) wanted.paid_until_boot_ms = on_boot_clock(*lease.paid_until);
    if (lease.running_at) {
        Time until = *lease.running_at + lease.term;
        if (lease.reclaim_deadline) until = std::min(until, *lease.reclaim_deadline);
        wanted.run_until_boot_ms = on_boot_clock(until);
    }
    if (!row.job) return wanted;
    wanted.job_id = row.job->id.text();
    if (!wanted.run) return wanted;
    wanted.spec.emplace();
    wanted.spec->image = row.job->image;
    wanted.spec->outputs = {"/outputs/result"};
    wanted.spec->retry_exit_codes = {exit_code_temporary};
    const Program& program = machines_.programs.at(wanted.job_id);
    if (program.has_health_check)
        wanted.spec->health = agent::HealthSpec{{"is-well"}, 3000, 1000, 0, health_failures_max};
    if (program.is_ended_when_idle) wanted.spec->idle = agent::IdleSpec{20, idle_for.count};
    wanted.max_duration_ms = row.job->max_duration.count;
    return wanted;
}

void Agent::take_desired(const DesiredRows& rows, std::int64_t asked) {
    version_ = rows.version;
    if (!note_epoch(rows.epoch)) return;
    agent::Desired desired;
    desired.version = rows.version;
    desired.epoch = rows.epoch;
    desired.asked_boot_ms = asked;
    for (const DesiredRow& row : rows.leases) {
        desired.leases.push_back(translated(row, rows));
        auto& sends = egress_bytes_max_[row.lease.id.text()];
        if (row.lease.egress_mib_max) sends = *row.lease.egress_mib_max << 20;
    }
    desired_ = std::move(desired);
}

/// One at a time, so that an older one does not arrive last.
void Agent::report_inventory() {
    is_inventory_old_ = is_telling_inventory_;
    if (is_telling_inventory_) return;
    is_telling_inventory_ = true;
    market::ReportInventory inventory;
    inventory.boot_id = host_.boot_id();
    inventory.agent_version = "0.1.0";
    inventory.runtime = "runc";
    inventory.engine = "virtual";
    inventory.cpu_cores = 8;
    inventory.memory_bytes = 1;
    for (int index = 0; index < host_.cards(); ++index) {
        market::ReportedCard card;
        card.index = index;
        card.uuid = uuid_of(index);
        card.offered = !claims_.contains(card.uuid);
        card.product = "H100";
        card.vendor = "maker";
        card.vram_bytes = card.memory_bandwidth_bytes_per_s = card.fp32_flops = std::int64_t{80} << 30;
        card.measured_at = Time(1'800'000'000'000);
        inventory.cards.push_back(card);
    }
    request(inventory, [this](const Answer* answer) {
        is_telling_inventory_ = false;
        const bool is_heard = answer != nullptr && answer->status == 200;
        if (is_heard && !is_inventory_old_) return;
        later(is_heard ? Millis(1) : world_.random.span(1800, 2200), [this] { report_inventory(); });
    });
}

// --- reconcile

agent::Observed Agent::observe() {
    agent::Observed observed;
    observed.heartbeat_acknowledged_boot_ms = acknowledged_;
    observed.contact_since_boot_ms = contact_since_;
    for (const auto& [uuid, claim] : claims_)
        observed.claims.push_back(claim);
    for (auto& [id, record] : records_) {
        const Lanes& lanes = lanes_[id];
        agent::LeaseSeen seen;
        seen.engine_lane_busy = lanes.engine.is_busy;
        seen.preparing = lanes.engine.is_busy && lanes.engine.doing == ActionKind::prepare;
        seen.server_lane_busy = lanes.server.is_busy;
        seen.watch_lane_busy = lanes.watch.is_busy;
        seen.health_checked_boot_ms = lanes.health_checked_boot_ms;
        seen.health_failures = lanes.health_failures;
        seen.use_sampled_boot_ms = lanes.use_sampled_boot_ms;
        seen.busy_boot_ms = lanes.busy_boot_ms;
        seen.record = record;
        observed.leases.push_back(std::move(seen));
    }
    observed.engine_reachable = !host_.engine_is_stuck;
    if (observed.engine_reachable) observed.containers = host_.list();
    return observed;
}

void Agent::reconcile() {
    heed_guard();
    const agent::Observed observed = observe();
    const agent::Desired* desired = desired_ ? &*desired_ : nullptr;
    for (const agent::Action& action : agent::reconcile(desired, observed, now(), limits_))
        carry_out(action);
    later(round, [this] { reconcile(); });
}

void Agent::adopt(const agent::DesiredLease& lease) {
    LeaseRecord record;
    record.desired = lease;
    record.boot_id = host_.boot_id();
    record.nonce = lease.nonce;
    record.usage_sequence = lease.usage_sequence;
    records_[lease.lease_id] = std::move(record);
}

void Agent::update(const agent::DesiredLease& lease) {
    change(lease.lease_id, [&](LeaseRecord& r) {
        if (r.nonce.empty() || lease.usage_sequence > r.usage_sequence) {
            r.nonce = lease.nonce;
            r.usage_sequence = lease.usage_sequence;
        }
        r.desired = lease;
    });
}

void Agent::carry_out(const agent::Action& action) {
    if (action.kind != ActionKind::update)
        world_.note("{}: {} {}{}", host_.name(), name_of(action.kind), action.lease_id,
                    action.container_id);
    const auto wanted = [&] {
        return *std::ranges::find(desired_->leases, action.lease_id, &agent::DesiredLease::lease_id);
    };
    switch (action.kind) {
        case ActionKind::adopt:
            return adopt(wanted());
        case ActionKind::update:
            return update(wanted());
        case ActionKind::reclaim:
            return change(action.lease_id,
                          [&](LeaseRecord& r) { r.reclaim_until_boot_ms = action.until_boot_ms; });
        case ActionKind::stop_own:
            return change(action.lease_id, [&](LeaseRecord& r) {
                r.own_stop = action.cause;
                r.own_stop_boot_ms = now();
            });
        case ActionKind::forget:
            records_.erase(action.lease_id);
            lanes_.erase(action.lease_id);
            return;
        case ActionKind::cancel_prepare:
            lanes_[action.lease_id].engine.is_cancelled = true;
            return;
        case ActionKind::remove_orphan:
            return host_.remove(action.container_id);
        case ActionKind::check_health:
        case ActionKind::sample_use:
            occupy(Side::watch, action);
            return watch_work(action);
        case ActionKind::report_accepted:
        case ActionKind::report_running:
        case ActionKind::report_exited:
        case ActionKind::report_failed:
        case ActionKind::report_gone:
        case ActionKind::report_reclaimed:
        case ActionKind::state_usage:
        case ActionKind::state_final_usage:
        case ActionKind::upload_outputs:
            occupy(Side::server, action);
            return server_work(action);
        default:
            occupy(Side::engine, action);
            return engine_work(action);
    }
}

// --- the guard

void Agent::watch(const LeaseRecord& record) {
    guard::Watched wanted;
    wanted.container = record.container_id;
    wanted.lease = record.desired.lease_id;
    wanted.epoch = record.desired.lease_epoch;
    wanted.fence_ms = record.desired.fence_ms;
    for (const std::string& outdated : book_.outdated(wanted.lease, wanted.epoch))
        carry_out_due({guard::DueKind::kill, outdated});
    static_cast<void>(book_.watch(wanted));
}

/// Looks often enough: what is due is done within a quarter of a second.
void Agent::guard() {
    for (const guard::Due& due : book_.due(now()))
        carry_out_due(due);
    world_.after(Millis(250), [this] { guard(); });
}

void Agent::carry_out_due(const guard::Due& due) {
    guard::Watched* watched = book_.find(due.container);
    if (due.kind == guard::DueKind::forget) return book_.drop(due.container);
    if (due.kind == guard::DueKind::freeze) {
        const std::int64_t moment = now();
        if (!host_.freeze(due.container)) return;
        watched->state = guard::WatchState::frozen;
        watched->frozen_boot_ms = moment;
        return;
    }
    if (watched->state == guard::WatchState::running) watched->frozen_boot_ms = 0;
    watched->state = guard::WatchState::killed;
    host_.kill(due.container);
}

std::optional<std::int64_t> Agent::thaw(const std::string& container) {
    guard::Watched* watched = book_.find(container);
    const bool is_refused = watched == nullptr || watched->state == guard::WatchState::killed ||
                            book_.is_fenced(*watched, now());
    if (is_refused) return std::nullopt;
    if (watched->state == guard::WatchState::frozen) {
        host_.thaw(container);
        watched->state = guard::WatchState::running;
        watched->frozen_boot_ms = 0;
        watched->thawed_boot_ms = now();
    }
    return watched->thawed_boot_ms;
}

void Agent::take_over(LeaseRecord& record, const guard::Watched& watched) {
    if (watched.state == guard::WatchState::running) {
        if (record.paused_boot_ms == 0 || watched.thawed_boot_ms <= record.paused_boot_ms) return;
        record.paused_boot_ms = 0;
        record.meter.resume(watched.thawed_boot_ms);
        return;
    }
    if (watched.frozen_boot_ms > record.paused_boot_ms) {
        record.meter.pause(watched.frozen_boot_ms);
        record.paused_boot_ms = watched.frozen_boot_ms;
    }
    if (watched.state == guard::WatchState::killed && record.stop_cause == agent::StopCause::none) {
        record.stop_cause = agent::StopCause::fenced_too_long;
        record.kill_sent = true;
    }
}

void Agent::heed_guard() {
    std::int64_t latest = 0;
    for (auto& [id, record] : records_) {
        if (!record.started || record.exit || record.container_id.empty()) continue;
        const guard::Watched* known = book_.find(record.container_id);
        if (known != nullptr)
            take_over(record, *known);
        else if (host_.find(record.container_id) != nullptr)
            watch(record);
        latest = std::max(latest, record.paused_boot_ms);
    }
    const bool is_answered = desired_ && desired_->asked_boot_ms > latest;
    if (latest <= asked_about_ || is_answered) return;
    asked_about_ = latest;
    version_.clear();
    poll();
}

}  // namespace fallow::sim
