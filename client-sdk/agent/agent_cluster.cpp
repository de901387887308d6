// The part of Agent that offers a partition of Slurm's: its own jobs come first, and what they need is
// taken back with the notice that the renters were promised.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "agent/agent.hpp"
#include "agent/clock.hpp"
#include "agent/slurm_runtime.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t look_every_ms = 5000;
constexpr std::int64_t jobs_age_ms = 2000;
constexpr std::int64_t bytes_per_mib = 1024 * 1024;

}  // namespace

ConnectRuntime Agent::reach_cluster() {
    static_cast<void>(cluster_cards_->refresh());
    const std::vector<SlurmNode> nodes = cluster_cards_->nodes();
    const bool are_all_here = std::ranges::all_of(nodes, SlurmCluster::is_this_host);
    const StorageKind storage = options_.storage.value_or(storage_kind_here());
    if (!are_all_here && storage == StorageKind::tmpfs)
        throw std::runtime_error(
            "guests on other nodes need --storage loop: mkfs.ext4, mount and loop devices here and there");
    engine_name_ = cluster_->version();
    return [this] { return std::make_unique<SlurmRuntime>(*cluster_, *cluster_cards_); };
}

/// A guest runs on one node, so the smallest one says what it can be.
void Agent::describe_cluster(HostDescription& host) const {
    const std::vector<SlurmNode> nodes = cluster_cards_->nodes();
    if (nodes.empty()) return;
    host.cpu_cores = std::ranges::min(nodes, {}, &SlurmNode::cpus).cpus;
    host.memory_bytes = std::ranges::min(nodes, {}, &SlurmNode::memory_mib).memory_mib * bytes_per_mib;
}

std::vector<SlurmPlace> Agent::apply_cluster_policy(ClusterHistory& history) {
    const std::vector<SlurmPlace> places = cluster_cards_->refresh();
    const std::vector<SlurmJob> jobs = cluster_->jobs(jobs_age_ms);
    std::vector<LeaseSeen> leases;
    std::vector<CardFacts> cards;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, task] : tasks_)
            leases.push_back(task->seen());
        cards = cards_;
    }
    std::vector<bool> is_leased;
    for (const SlurmPlace& place : places)
        is_leased.push_back(std::ranges::any_of(leases, [&](const LeaseSeen& seen) {
            const bool is_over = seen.record.exit || seen.record.failure || seen.record.removed;
            const auto& cards_of_lease = seen.record.desired.cards;
            return !is_over &&
                   std::ranges::find(cards_of_lease, place.uuid, &LeaseCard::uuid) != cards_of_lease.end();
        }));
    const std::vector<CardDecision> all = decide_for_cluster(
        places, is_leased, cluster_cards_->nodes(), jobs, cluster_->self(), history, boot_clock_ms());
    // In the order of the cards that are known.
    std::vector<CardDecision> decisions;
    for (const CardFacts& card : cards) {
        const auto place = std::ranges::find(places, card.uuid, &SlurmPlace::uuid);
        decisions.push_back(
            place == places.end()
                ? CardDecision{.is_offered = false, .reason = "its node is down", .takes_back = false}
                : all[static_cast<std::size_t>(place - places.begin())]);
    }
    take_decisions(cards, decisions);
    return places;
}

void Agent::run_cluster_policy(std::stop_token stop) {
    std::vector<SlurmPlace> before;
    ClusterHistory history;
    while (!stop.stop_requested()) {
        try {
            std::vector<SlurmPlace> places = apply_cluster_policy(history);
            if (places != before) {
                cluster_changed_ = true;
                claims_changed();
            }
            before = std::move(places);
        } catch (const std::exception& error) {
            spdlog::error("the cluster's own jobs were not looked at: {}", error.what());
        }
        wait(look_every_ms, stop);
    }
}

}  // namespace fallow::agent
