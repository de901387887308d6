#include "agent/slurm_cards.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/card_keeper.hpp"
#include "agent/runtime.hpp"

namespace fallow::agent {
namespace {

/// Jobs that hold cards of the node, but for our own measurements.
bool is_in_use(const SlurmNode& node, const std::vector<SlurmJob>& jobs, const SlurmSelf& self) {
    std::int64_t measuring = 0;
    for (const SlurmJob& job : jobs) {
        const auto mark = parse_mark(job.comment);
        const bool measures =
            mark && job.uid == self.uid && mark->host_id == self.host_id && mark->lease_id.empty();
        if (!measures || job.node_list != node.name || job.state == "PENDING" || !job.is_active()) continue;
        for (const SlurmGres& gres : job.per_node)
            measuring += gres.count;
    }
    return node.used_of({}) > measuring;
}

}  // namespace

std::optional<CardFacts> device_for(const std::vector<CardFacts>& devices, std::size_t position) {
    std::vector<CardFacts> gpus;
    for (const CardFacts& device : devices)
        if (device.device_class != "cpu") gpus.push_back(device);
    if (position < gpus.size()) return gpus[position];
    if (gpus.empty() && !devices.empty()) return devices.front();
    return std::nullopt;
}

SlurmCards::SlurmCards(SlurmCluster& cluster, ProbeOptions probe, std::filesystem::path kept)
    : cluster_(cluster), options_(std::move(probe)), kept_(std::move(kept)) {
    options_.program = cluster_.options().program;
}

std::vector<SlurmPlace> SlurmCards::refresh() {
    std::vector<SlurmNode> nodes = cluster_.nodes();
    std::string name;
    {
        const std::lock_guard lock(mutex_);
        name = cluster_name_;
    }
    if (name.empty()) name = cluster_.cluster_name();
    const std::lock_guard lock(mutex_);
    cluster_name_ = name;
    nodes_ = nodes;
    // A lease's card keeps its place when its node goes down.
    std::vector<SlurmNode> all = std::move(nodes);
    for (SlurmNode& node : all)
        node.state = "IDLE";
    for (SlurmPlace& place : places_of(cluster_name_, all))
        places_[place.uuid] = std::move(place);
    return places_of(cluster_name_, nodes_);
}

std::vector<SlurmNode> SlurmCards::nodes() const {
    const std::lock_guard lock(mutex_);
    return nodes_;
}

std::vector<SlurmPlace> SlurmCards::places_of_lease(const std::vector<LeaseCard>& cards) const {
    const std::lock_guard lock(mutex_);
    if (places_.empty()) throw RuntimeUnreachable("the cluster's cards are not known yet");
    std::vector<SlurmPlace> found;
    for (const LeaseCard& card : cards) {
        const auto place = places_.find(card.uuid);
        if (place == places_.end())
            throw RuntimeError("card " + card.uuid + " is not in the partition any more");
        found.push_back(place->second);
    }
    if (found.empty()) throw RuntimeError("the lease has no cards");
    return found;
}

bool SlurmCards::is_here(const std::vector<LeaseCard>& cards) const {
    const auto node = cards.empty() ? std::nullopt : node_of(cards.front().uuid);
    return node && SlurmCluster::is_this_host(*node);
}

CardProbe SlurmCards::probe_on(const SlurmNode& node) const {
    ProbeOptions options = options_;
    options.launch = cluster_.launch_words(node.name, node.gres);
    return CardProbe(std::move(options));
}

/// What the node's drivers name, asked once for each of its boots; null while it cannot be asked.
const SlurmCards::Known* SlurmCards::ask_node(const SlurmNode& node, std::vector<std::string>& problems,
                                              const std::stop_token& stop) {
    Known& known = known_[node.name];
    if (known.boot_time == node.boot_time && !known.devices.empty()) return &known;
    if (is_in_use(node, cluster_.jobs(0), cluster_.self())) return nullptr;
    CardProbe probe = probe_on(node);
    FoundCards found = probe.find(stop);
    if (stop.stop_requested()) cluster_.cancel_measurements();
    for (const std::string& problem : found.problems)
        problems.push_back("node " + node.name + ": " + problem);
    if (found.cards.empty()) return nullptr;
    known = {node.boot_time, std::move(found.cards)};
    return &known;
}

FoundCards SlurmCards::find(std::stop_token stop) {
    FoundCards found;
    const std::vector<SlurmPlace> places = refresh();
    const std::vector<CardFacts> before = CardKeeper::kept(kept_);
    std::map<std::string, std::size_t> position;
    std::map<std::string, const Known*> asked;
    for (const SlurmNode& node : nodes()) {
        if (stop.stop_requested()) return found;
        if (node.is_up() && !node.gres.empty()) asked[node.name] = ask_node(node, found.problems, stop);
    }
    for (const SlurmPlace& place : places) {
        const std::size_t here = position[place.node]++;
        const Known* const known = asked[place.node];
        std::optional<CardFacts> card;
        if (known != nullptr) card = device_for(known->devices, here);
        if (card) devices_[place.uuid] = *card;
        if (!card) {
            const auto kept = std::ranges::find(before, place.uuid, &CardFacts::uuid);
            if (kept == before.end()) {
                found.problems.push_back(
                    "card " + place.uuid + " of node " + place.node +
                    " is not known yet: its node is in use, or its drivers name fewer");
                continue;
            }
            card = *kept;
            card->claims.opencl_uuid.clear();  // it is not measured now
            card->claims.has_cuda = false;
        }
        card->index = static_cast<std::int64_t>(found.cards.size());
        card->uuid = place.uuid;
        card->pci_address.clear();  // nodes have equal ones
        if (card->backend != "nvml" && !place.model.empty()) card->product = place.model;
        card->claims.used_bytes.reset();  // of the moment in which the node was asked
        found.cards.push_back(std::move(*card));
    }
    return found;
}

std::optional<SlurmNode> SlurmCards::free_node_of(const CardFacts& card) {
    static_cast<void>(refresh());
    auto node = node_of(card.uuid);
    if (!devices_.contains(card.uuid) || !node || !node->is_up()) return std::nullopt;
    if (is_in_use(*node, cluster_.jobs(0), cluster_.self())) return std::nullopt;
    return node;
}

std::optional<Verification> SlurmCards::verify(const CardFacts& card, std::stop_token stop) {
    try {
        const auto node = free_node_of(card);
        if (!node) return std::nullopt;
        auto verification = probe_on(*node).verify(devices_.at(card.uuid), stop);
        // Killed, srun leaves its job behind.
        if (!verification) cluster_.cancel_measurements();
        return verification;
    } catch (const RuntimeUnreachable& error) {
        // No fault of the card's.
        spdlog::warn("card {} is not measured now: {}", card.uuid, error.what());
        return std::nullopt;
    }
}

std::optional<SlurmNode> SlurmCards::node_of(const std::string& uuid) const {
    const std::lock_guard lock(mutex_);
    const auto place = places_.find(uuid);
    if (place == places_.end()) return std::nullopt;
    const auto node = std::ranges::find(nodes_, place->second.node, &SlurmNode::name);
    return node == nodes_.end() ? std::nullopt : std::optional(*node);
}

}  // namespace fallow::agent
