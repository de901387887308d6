#include "agent/agent.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "agent/card_json.hpp"
#include "agent/clock.hpp"
#include "agent/enroll.hpp"
#include "agent/progress_reporter.hpp"
#include "agent/telemetry.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t round_ms = 500;        ///< between two rounds while there is a lease
constexpr std::int64_t idle_round_ms = 1000;  ///< else
constexpr std::int64_t long_poll_ms = 20'000;
constexpr std::int64_t gang_poll_ms = 2000;
constexpr std::int64_t inventory_every_ms = 3600 * 1000;
constexpr std::int64_t gate_retry_ms = 60'000;
constexpr std::int64_t silent_driver_retry_ms = 60 * 1000;
constexpr std::int64_t disk_measured_bytes = 256LL << 20;

std::mt19937_64& generator() {
    thread_local std::mt19937_64 own(std::random_device{}());
    return own;
}

std::int64_t random_ms(Pause pause) {
    return std::uniform_int_distribution<std::int64_t>(pause.least_ms, pause.most_ms)(generator());
}

std::int64_t with_jitter(std::int64_t ms) {
    return random_ms(about(ms));
}

Failure failure_of(const std::exception& error) {
    if (dynamic_cast<const ServerError*>(&error) != nullptr) return Failure::answered;
    const auto* transport = dynamic_cast<const sdk::TransportError*>(&error);
    const bool is_refused = transport != nullptr && transport->kind() == sdk::TransportErrorKind::refused;
    return is_refused ? Failure::refused : Failure::unanswered;
}

Identity enrolled(const StateFolder& state) {
    if (!state.is_enrolled())
        throw std::runtime_error("this host is not enrolled: run fallow-agent enroll first");
    return state.identity();
}

std::filesystem::path kept_cards_file(const AgentOptions& options) {
    return std::filesystem::path(options.state_folder) / "cards.json";
}

/// Null without a partition.
std::unique_ptr<SlurmCluster> cluster_of(const AgentOptions& options, const std::string& host_id) {
    if (options.slurm_partition.empty()) return nullptr;
    return std::make_unique<SlurmCluster>(
        SlurmOptions{.partition = options.slurm_partition,
                     .host_id = host_id,
                     .state_folder = std::filesystem::absolute(options.state_folder),
                     .program = options.slurm_program,
                     .engine_socket = options.engine_socket,
                     .runtime = options.runtime,
                     .user_namespace = options.user_namespace});
}

}  // namespace

std::string phase_of(const LeaseRecord& r) {
    if (r.removed) return "gone";
    if (r.failure) return "failed";
    if (r.exit) return "exited";
    if (r.running_reported) return "running";
    return r.accepted ? "accepted" : "";
}

Agent::Agent(AgentOptions options)
    : options_(std::move(options)),
      state_(options_.state_folder),
      host_id_(enrolled(state_).host_id),
      signing_key_(PrivateKey::from_pem(read_file(state_.signing_key_file()))),
      boot_id_(current_boot_id()),
      desk_(options_.state_folder, boot_id_),
      policy_(options_.policy_file.empty()
                  ? std::nullopt
                  : std::optional(parse_policy(read_file(options_.policy_file), options_.policy_file))),
      guard_({options_.state_folder, options_.engine_socket, {}, options_.limits.fenced_ms_max}),
      cluster_(cluster_of(options_, host_id_)),
      cluster_cards_(cluster_ == nullptr ? nullptr
                                         : std::make_unique<SlurmCards>(*cluster_, options_.probe,
                                                                        kept_cards_file(options_))),
      keeper_({options_.probe, kept_cards_file(options_), options_.verify_every_ms, options_.measures},
              cluster_cards_.get()),
      disk_(options_.state_folder, disk_measured_bytes),
      network_(options_.state_folder, options_.network_spread_ms, real_network_clock()),
      highest_epoch_(state_.highest_epoch()),
      server_offset_ms_(wall_clock_ms() - boot_clock_ms()) {
    state_.lock();
    cards_ = CardKeeper::kept(kept_cards_file(options_));
    const auto last = state_.acknowledged_heartbeat(boot_id_);
    if (!last) return;
    acknowledged_boot_ms_ = last->boot_ms;
    server_offset_ms_ = last->server_offset_ms;
    guard_.heartbeat(last->boot_ms);
}

Agent::~Agent() = default;

std::int64_t Agent::server_unix_ms() const {
    return boot_clock_ms() + server_offset_ms_;
}

void Agent::wake() {
    const std::lock_guard lock(mutex_);
    awake_ = true;
    changed_.notify_all();
}

void Agent::wait(std::int64_t ms, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, std::chrono::milliseconds(ms), [] { return false; });
}

/// False for a leader that has been replaced: nothing it says counts.
bool Agent::note_epoch(std::int64_t epoch) {
    const std::lock_guard lock(mutex_);
    if (epoch < highest_epoch_) return false;
    if (epoch > highest_epoch_) state_.save_highest_epoch(epoch);
    highest_epoch_ = epoch;
    return true;
}

std::vector<LeasePhase> Agent::phases() {
    const std::lock_guard lock(mutex_);
    std::vector<LeasePhase> found;
    for (const auto& [id, task] : tasks_) {
        const LeaseRecord record = task->seen().record;
        if (std::string phase = phase_of(record); !phase.empty())
            found.push_back({record.desired.lease_id, record.desired.lease_epoch, std::move(phase)});
    }
    return found;
}

/// With a frozen container one waits to hear that it is still wanted, and a poll from before may hang.
void Agent::poll_at_once() {
    poll_at_once_ = true;
    poll_stop_.request_stop();
}

void Agent::beat(ServerLink& server, std::int64_t timeout_ms, Rhythm& rhythm) {
    const std::int64_t sent = boot_clock_ms();
    // The boot clock as the sequence: it rises across restarts of the agent without being stored.
    const HeartbeatReply reply = server.heartbeat(boot_id_, sent, phases(), timeout_ms);
    const std::int64_t middle = sent + (boot_clock_ms() - sent) / 2;
    if (!note_epoch(reply.epoch))
        throw std::runtime_error("the answer comes from a leader that has been replaced");
    server_offset_ms_ = reply.server_unix_ms - middle;
    guard_.heartbeat(sent);
    if (cluster_) cluster_->pulse(sent);
    bool after_gap = false;
    {
        const std::lock_guard lock(mutex_);
        // The server keeps this below every fence, so that what was frozen since then saw a gap.
        after_gap = contact_since_boot_ms_ == 0 ||
                    sent - acknowledged_boot_ms_ >= rhythm.interval_ms + 2 * rhythm.timeout_ms;
        acknowledged_boot_ms_ = sent;
        if (after_gap) {
            contact_since_boot_ms_ = sent;
            poll_at_once();
        }
    }
    if (after_gap) spdlog::info("the server acknowledges heartbeats");
    state_.save_acknowledged_heartbeat(boot_id_, {sent, server_offset_ms_});
    rhythm = {std::max<std::int64_t>(1, reply.next_heartbeat_ms),
              std::max<std::int64_t>(1, reply.idle_heartbeat_ms),
              std::max<std::int64_t>(1, reply.timeout_ms)};
    idle_return_ms_ = reply.idle_return_ms;
}

std::int64_t Agent::next_try_ms(Failure failure, int in_a_row) {
    return random_ms(pause_after({.failure = failure,
                                  .in_a_row = in_a_row,
                                  .has_lease = has_lease(),
                                  .idle_return_ms = idle_return_ms_.load()}));
}

void Agent::run_heartbeat(std::stop_token stop) {
    ServerLink own(
        state_, [this] { return server_unix_ms(); }, context_->connections);
    Rhythm rhythm;
    rhythm.interval_ms = rhythm.idle_interval_ms = state_.identity().heartbeat_interval_ms;
    int failures = 0;
    while (!stop.stop_requested()) {
        std::int64_t next_ms = 0;
        try {
            const bool is_idle = !has_lease();
            const auto turn = is_idle ? turns_.take_soon() : LinkTurns::Turn();
            beat(turn.owns_lock() ? *link_ : own, is_idle ? rhythm.idle_interval_ms : rhythm.timeout_ms,
                 rhythm);
            failures = 0;
            next_ms = with_jitter(has_lease() ? rhythm.interval_ms : rhythm.idle_interval_ms);
        } catch (const std::exception& error) {
            spdlog::warn("a heartbeat was not acknowledged: {}", error.what());
            failures = std::min(failures, 1) + 1;  // more than two are no other case
            next_ms = next_try_ms(failure_of(error), failures);
        }
        turns_.beaten(boot_clock_ms() + next_ms, failures == 0);
        wait_to_beat(next_ms, stop);
    }
}

/// A lease makes an idle host's last heartbeat too old, and a lost long-poll makes one doubt the server.
void Agent::beat_at_once() {
    const std::lock_guard lock(mutex_);
    beat_at_once_ = true;
    changed_.notify_all();
}

/// When a heartbeat that is waited for could only be refused.
void Agent::beat_later(std::int64_t ms) {
    const std::lock_guard lock(mutex_);
    beat_due_boot_ms_ = std::max(beat_due_boot_ms_, boot_clock_ms() + ms);
    changed_.notify_all();
}

void Agent::wait_to_beat(std::int64_t ms, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    beat_due_boot_ms_ = boot_clock_ms() + ms;
    std::int64_t due = 0;
    while (!beat_at_once_ && !stop.stop_requested() && (due = beat_due_boot_ms_) > boot_clock_ms())
        changed_.wait_for(lock, stop, std::chrono::milliseconds(due - boot_clock_ms()),
                          [&] { return beat_at_once_ || beat_due_boot_ms_ != due; });
    beat_at_once_ = false;
}

bool Agent::has_lease() {
    const std::lock_guard lock(mutex_);
    return !tasks_.empty();
}

/// That was started: before, no renter can ask for a tunnel to it.
bool Agent::has_guest() {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(tasks_, [](const auto& entry) {
        const LeaseRecord record = entry.second->seen().record;
        return record.started && !record.removed;
    });
}

bool Agent::has_waiting_gang() {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(tasks_, [](const auto& entry) {
        const LeaseRecord record = entry.second->seen().record;
        return record.desired.run && !record.started && !record.failure && awaits_gang(record);
    });
}

bool Agent::asked_to_poll_at_once() {
    const std::lock_guard lock(mutex_);
    return poll_at_once_;
}

void Agent::take_desired(Desired desired) {
    if (!note_epoch(desired.epoch)) {
        spdlog::warn("a desired state of the replaced epoch {} is refused", desired.epoch);
        return;
    }
    const std::lock_guard lock(mutex_);
    desired_ = std::make_shared<const Desired>(std::move(desired));
    awake_ = true;
    changed_.notify_all();
}

std::optional<LeaseRecord> Agent::find_lease(const std::string& lease_id) {
    const std::lock_guard lock(mutex_);
    const auto found = tasks_.find(lease_id);
    return found == tasks_.end() ? std::nullopt : std::optional(found->second->seen().record);
}

void Agent::run_desired(std::stop_token stop) {
    std::string version;
    while (!stop.stop_requested()) {
        try {
            // Another server than the one that we listen to may hear first that a gang is whole.
            const std::int64_t leased_ms = has_waiting_gang() ? gang_poll_ms : long_poll_ms;
            const std::int64_t most_ms = has_lease() ? leased_ms : turns_.poll_ms(long_poll_ms, stop);
            std::stop_source poll_stop;
            {
                const std::lock_guard lock(mutex_);
                if (std::exchange(poll_at_once_, false)) version.clear();
                poll_stop_ = poll_stop;
            }
            const std::stop_callback on_stop(stop, [&] { poll_stop.request_stop(); });
            // The certificate is renewed between two polls, so that none may last beyond that.
            const std::int64_t until_renewal = certificate_renewal_unix_ms(state_) - server_unix_ms();
            const std::int64_t wait_ms = std::clamp<std::int64_t>(until_renewal, 0, most_ms);
            auto turn = turns_.take();
            Desired desired = link_->desired(version, wait_ms, server_offset_ms_, poll_stop.get_token());
            const bool may_have_renters = desired.version != version && has_guest();
            version = desired.version;
            take_desired(std::move(desired));
            if (may_have_renters) tunnels_->look(stop);
            if (renew_certificate_if_due(state_, *link_, server_unix_ms()))
                spdlog::info("the certificate is renewed");
        } catch (const std::exception& error) {
            if (stop.stop_requested()) return;
            version.clear();
            if (asked_to_poll_at_once()) continue;
            spdlog::warn("the desired state could not be read: {}", error.what());
            await_contact(failure_of(error), stop);
        }
    }
}

/// After a long-poll that failed. Where there is a lease, a heartbeat finds out at once whether the server
/// is gone or just that connection. Without one it goes out when it is due, or with those of the other
/// hosts that were refused, if nobody listens. While the server is gone the heartbeats alone try.
void Agent::await_contact(Failure failure, std::stop_token stop) {
    if (failure == Failure::answered) return wait(next_try_ms(failure, 1), stop);
    const auto acknowledged = turns_.acknowledged();
    if (has_lease())
        beat_at_once();
    else if (link_->is_refused())
        beat_later(next_try_ms(Failure::refused, 1));
    wait(with_jitter(try_again_ms), stop);
    turns_.wait_for_contact(acknowledged, stop);
}

/// By a renter, or by the owner: the numbers would be wrong, and whoever has it would pay for them. Nor
/// before what a renter left in it is overwritten.
bool Agent::is_in_use(const CardFacts& card) {
    if (desk_.holds().contains(card.uuid)) return true;
    const std::vector<UsedCard> used = used_cards();
    if (std::ranges::find(used, card.uuid, &UsedCard::uuid) != used.end()) return true;
    const std::lock_guard lock(mutex_);
    if (card.device_class == "cpu") return !tasks_.empty();
    return std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& task) {
        const std::vector<LeaseCard> cards = task.second->seen().record.desired.cards;
        return std::any_of(cards.begin(), cards.end(),
                           [&](const LeaseCard& leased) { return leased.uuid == card.uuid; });
    });
}

/// How long the finding holds.
std::int64_t Agent::find_cards(std::stop_token stop) {
    FoundCards found = keeper_.take([this](const CardFacts& card) { return is_in_use(card); }, stop);
    const std::lock_guard lock(mutex_);
    if (!stop.stop_requested()) cards_ = std::move(found.cards);
    // A node is measured when it is free.
    const bool is_unmeasured = cluster_ && std::ranges::any_of(cards_, [](const CardFacts& card) {
                                   return !card.capacity && !card.is_refused();
                               });
    return found.problems.empty() && !is_unmeasured ? inventory_every_ms : silent_driver_retry_ms;
}

void Agent::send_inventory(ServerLink& server) {
    HostDescription host;
    host.boot_id = boot_id_;
    host.runtime = runtime_name_;
    host.engine = engine_name_;
    host.cpu_cores = host_cpu_cores();
    host.memory_bytes = host_memory_bytes();
    host.cpu_architecture = host_cpu_architecture();
    host.disk_bytes = disk_bytes_of(options_.state_folder);
    const Processor processor = host_processor();
    host.cpu_model = processor.model;
    host.cpu_clock_mhz = processor.clock_mhz;
    host.rack = options_.rack;
    host.disk_speed = disk_.kept();
    host.network_speed = kept_network_speed(options_.state_folder);
    describe_guests(host);
    if (cluster_) describe_cluster(host);
    {
        const std::lock_guard lock(mutex_);
        offers_changed_ = false;
    }
    const std::vector<CardFacts> cards = known_cards();
    const std::map<std::string, std::string> withheld = withheld_cards();
    server.put_inventory(encode_inventory(host, cards, withheld));
    if (scrubber_) scrubber_->note_withheld(withheld);
    spdlog::info("the inventory has {} cards, of which {} are not offered", cards.size(), withheld.size());
}

bool Agent::measure_disk(std::stop_token stop) {
    if (!options_.measures) return false;
    return disk_.measure_if_due([this] { return has_lease(); }, std::move(stop));
}

/// Whether they have changed.
bool Agent::wait_for_offers(std::int64_t ms, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, stop, std::chrono::milliseconds(ms), [this] { return offers_changed_; });
}

void Agent::run_inventory(std::stop_token stop) {
    ServerLink server(state_, [this] { return server_unix_ms(); });
    std::optional<std::int64_t> found_boot_ms;
    std::int64_t find_again_ms = 0;
    while (!stop.stop_requested()) {
        try {
            const bool has_changed = cluster_changed_.exchange(false);
            if (!found_boot_ms || has_changed || boot_clock_ms() - *found_boot_ms >= find_again_ms) {
                find_again_ms = find_cards(stop);
                if (stop.stop_requested()) return;
                found_boot_ms = boot_clock_ms();
                wait_for_policy(stop);
            }
            send_inventory(server);
            if (measure_disk(stop)) send_inventory(server);
            rest(server, gate_is_open_ ? find_again_ms : std::min(find_again_ms, gate_retry_ms), stop);
        } catch (const std::exception& error) {
            spdlog::warn("the inventory was not taken: {}", error.what());
            static_cast<void>(wait_for_offers(with_jitter(try_again_ms * 2), stop));
        }
    }
}

void Agent::run(std::stop_token stop) {
    reach_engine(stop);
    if (stop.stop_requested()) return;
    take_over();
    const OwnerSocket owner(options_.state_folder, [this](const std::string& line, std::int64_t peer_pid) {
        return answer_owner(line, peer_pid);
    });
    const std::unique_ptr<Telemetry> telemetry = make_telemetry();
    const std::unique_ptr<ProgressReporter> progress = make_progress_reporter();
    link_ = std::make_unique<ServerLink>(state_, [this] { return server_unix_ms(); });
    std::jthread heartbeat([this](std::stop_token s) { run_heartbeat(s); });
    std::jthread desired([this](std::stop_token s) { run_desired(s); });
    std::jthread inventory([this](std::stop_token s) { run_inventory(s); });
    std::jthread policy([this](std::stop_token s) { run_policy(s); });
    while (!stop.stop_requested()) {
        reconcile_once();
        std::unique_lock lock(mutex_);
        const std::int64_t pause_ms = tasks_.empty() ? idle_round_ms : round_ms;
        changed_.wait_for(lock, stop, std::chrono::milliseconds(pause_ms), [this] { return awake_; });
        awake_ = false;
    }
    for (std::jthread* thread : {&heartbeat, &desired, &inventory, &policy})
        thread->request_stop();
    for (std::jthread* thread : {&heartbeat, &desired, &inventory, &policy})
        thread->join();
    const std::lock_guard lock(mutex_);
    desired_.reset();
    if (tasks_.empty()) close_gate();
}

}  // namespace fallow::agent
