// The cards of a partition: the generic resources of its nodes, and what the nodes' own drivers say and
// prove of them. A node is asked by a job of its own that holds all of its cards, while none is in use.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/card_probe.hpp"
#include "agent/lease.hpp"
#include "agent/slurm_cluster.hpp"

namespace fallow::agent {

class SlurmCards final : public CardSource {
  public:
    /// `kept`: the file of the cards that were known before. The cluster outlives it.
    SlurmCards(SlurmCluster& cluster, ProbeOptions probe, std::filesystem::path kept);

    [[nodiscard]] FoundCards find(std::stop_token stop) override;
    [[nodiscard]] std::optional<Verification> verify(const CardFacts& card, std::stop_token stop) override;

    // Any thread.
    /// Throws RuntimeUnreachable until the cluster has been asked once, RuntimeError for a card that it has
    /// no place for.
    [[nodiscard]] std::vector<SlurmPlace> places_of_lease(const std::vector<LeaseCard>& cards) const;
    [[nodiscard]] bool is_here(const std::vector<LeaseCard>& cards) const;
    /// Reads the cluster's nodes anew; the places of all that are up.
    [[nodiscard]] std::vector<SlurmPlace> refresh();
    [[nodiscard]] std::vector<SlurmNode> nodes() const;

  private:
    struct Known {
        std::string boot_time;
        std::vector<CardFacts> devices;
    };
    [[nodiscard]] const Known* ask_node(const SlurmNode& node, std::vector<std::string>& problems,
                                        const std::stop_token& stop);
    /// Where the card can be worked on by a job of ours; nothing while others have its node, or it is down.
    [[nodiscard]] std::optional<SlurmNode> free_node_of(const CardFacts& card);
    [[nodiscard]] CardProbe probe_on(const SlurmNode& node) const;
    [[nodiscard]] std::optional<SlurmNode> node_of(const std::string& uuid) const;

    SlurmCluster& cluster_;
    ProbeOptions options_;
    std::filesystem::path kept_;
    std::map<std::string, Known> known_;        ///< by node
    std::map<std::string, CardFacts> devices_;  ///< by the card's uuid, as the node's driver names it
    mutable std::mutex mutex_;
    std::string cluster_name_;
    std::vector<SlurmNode> nodes_;
    std::map<std::string, SlurmPlace> places_;  ///< by uuid; of nodes that have gone down, too
};

/// The device that a resource stands for: the GPU of its number on the node; on a node that has none, its
/// processor. Pure.
[[nodiscard]] std::optional<CardFacts> device_for(const std::vector<CardFacts>& devices,
                                                  std::size_t position);

}  // namespace fallow::agent
