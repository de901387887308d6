// Guests as batch jobs of a cluster. A job is submitted when its lease is prepared and holds the lease's
// cards from then on; its script obtains the image, makes the guest and waits for `start`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/runtime.hpp"
#include "agent/slurm_cards.hpp"
#include "agent/slurm_cluster.hpp"
#include "agent/slurm_meeting.hpp"

namespace fallow::agent {

class SlurmRuntime final : public Runtime {
  public:
    /// Both outlive it.
    SlurmRuntime(SlurmCluster& cluster, const SlurmCards& cards) : cluster_(cluster), cards_(cards) {}

    [[nodiscard]] std::vector<ContainerSeen> list() override;
    [[nodiscard]] ImageFacts obtain_image(const std::string&, std::stop_token) override { return {}; }
    [[nodiscard]] std::string create(const DesiredLease& lease, const ImageFacts& image,
                                     const GuestFolders& folders, std::stop_token stop) override;
    [[nodiscard]] std::optional<ContainerInspection> start(const std::string& id, const TrafficTerms&,
                                                           const std::function<void()>&) override;
    /// By the job on the guest's node. Throws RuntimeUnreachable when that does not answer.
    [[nodiscard]] std::optional<std::int64_t> run_in(const std::string& id,
                                                     const std::vector<std::string>& command,
                                                     std::int64_t timeout_ms,
                                                     std::stop_token stop) override;
    [[nodiscard]] std::optional<ContainerInspection> inspect(const std::string& id) override;
    bool signal(const std::string& id, const char* signal_name) override;
    /// What is frozen is so by the guard, through the control group, and resumed there.
    bool resume(const std::string&) override { return false; }
    void remove(const std::string& id) override;
    void logs(const std::string& id, bool follow, const LogDemuxer::OnData& on_data,
              std::stop_token stop) override;
    [[nodiscard]] bool is_here(const std::vector<LeaseCard>& cards) const override;

  private:
    struct Found {
        SlurmMeeting meeting;
        std::string lease_id;
        std::string job;
        std::optional<SlurmStatus> status;
        SlurmErrand errand;
    };
    [[nodiscard]] std::vector<Found> meetings() const;
    [[nodiscard]] std::optional<Found> find(const std::string& id) const;
    [[nodiscard]] ContainerState state_of(const Found& found, const std::vector<SlurmJob>& jobs) const;
    [[nodiscard]] SlurmOrder order_for(const DesiredLease& lease, const SlurmMeeting& meeting) const;
    [[nodiscard]] std::string await_prepared(const SlurmMeeting& meeting, const std::string& job,
                                             std::stop_token stop);
    void bound_by_slurm(const std::string& job, ContainerInspection& inspection);
    void cancel_leftovers(const std::string& lease_id);
    void end_job(const std::string& job);
    void sweep_elsewhere(const Found& found);

    SlurmCluster& cluster_;
    const SlurmCards& cards_;
};

}  // namespace fallow::agent
