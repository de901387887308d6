// What runs guests, as the agent sees it: the container engine of this host (container_runtime.hpp), or a
// cluster's Slurm (slurm_runtime.hpp). It carries out single acts and reports what is; it decides nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/guest_profile.hpp"
#include "agent/guest_traffic.hpp"
#include "agent/lease.hpp"
#include "agent/log_frames.hpp"
#include "agent/planner.hpp"
#include "agent/transfer_progress.hpp"

namespace fallow::agent {

/// The runtime answered, and refuses.
class RuntimeError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The image cannot be had.
class ImageError : public RuntimeError {
  public:
    using RuntimeError::RuntimeError;
};

/// It does not answer, or not in a form that can be read: the same may work in a moment. The container
/// engine's is sdk::TransportError.
class RuntimeUnreachable : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct ContainerInspection {
    ContainerState state = ContainerState::unknown;
    bool ever_started = false;
    std::int64_t exit_code = 0;
    bool oom_killed = false;
    std::int64_t started_unix_ms = 0;
    std::int64_t finished_unix_ms = 0;  ///< 0 while it has not finished
    std::int64_t pid = 0;               ///< on this host; 0: it has none here
    bool is_ending = false;             ///< it has exited, and the engine is not done with that
};

/// A user of this host, as the kernel numbers it.
struct HostUser {
    std::int64_t uid = 0;
    std::int64_t gid = 0;
};

/// One thread at a time.
class Runtime {
  public:
    Runtime() = default;
    virtual ~Runtime() = default;
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    /// All guests of this host's leases, whatever their state.
    [[nodiscard]] virtual std::vector<ContainerSeen> list() = 0;

    /// Throws ImageError. Nothing is known of an image that is pulled where the guest will run.
    [[nodiscard]] virtual ImageFacts obtain_image(const std::string& reference, std::stop_token stop) = 0;
    /// The same with a renter's own login (registry_login.hpp). The registry is asked even if the image is
    /// here, and it is not given to anybody later whom the registry does not let have it.
    [[nodiscard]] virtual ImageFacts obtain_private_image(const std::string& reference,
                                                          const std::string& registry_auth,
                                                          std::stop_token stop);
    /// Tells `on_progress` of the pulls that the two before make, while they go on.
    virtual void watch_pulls(OnProgress on_progress);
    /// Everything but its network and the start; the guest's id, empty when `stop` came first. What an
    /// earlier try has left is removed before. `folders` need not hold anything yet.
    [[nodiscard]] virtual std::string create(const DesiredLease& lease, const ImageFacts& image,
                                             const GuestFolders& folders, std::stop_token stop) = 0;
    /// Gives a created guest its network, with what its `folders` hold now. Throws RuntimeError; then it is
    /// removed, since nothing may start that has a network without its rules, or only half of it.
    virtual void connect(const std::string& id, const TrafficTerms& terms);
    /// Who a created guest's command will be on this host: the owner of files that it alone may read.
    [[nodiscard]] virtual HostUser user_of(const std::string& id, const ImageFacts& image);
    /// Whether `start` does that, too, and is quicker then than both.
    [[nodiscard]] virtual bool connects_at_start() const { return false; }
    /// The guest as it is then; nothing when it is not there any more. Before anything of it runs it has
    /// its network, and `connected` has returned; when that is not to be had, it is removed, and
    /// RuntimeError is thrown where another try would end the same.
    [[nodiscard]] virtual std::optional<ContainerInspection> start(
        const std::string& id, const TrafficTerms& terms, const std::function<void()>& connected) = 0;
    /// Runs a further command in a guest, with its rights, and waits; the exit code, or nothing when it had
    /// not ended after so long, or `stop` came first: then it is killed.
    [[nodiscard]] virtual std::optional<std::int64_t> run_in(const std::string& id,
                                                             const std::vector<std::string>& command,
                                                             std::int64_t timeout_ms, std::stop_token stop);
    [[nodiscard]] virtual std::optional<ContainerInspection> inspect(const std::string& id) = 0;
    /// False when it was not running.
    virtual bool signal(const std::string& id, const char* signal_name) = 0;
    virtual bool resume(const std::string& id) = 0;
    /// Kills and removes. No error when it is not there.
    virtual void remove(const std::string& id) = 0;
    /// The guest's output from its beginning; with `follow` until it ends, without it what is there now.
    virtual void logs(const std::string& id, bool follow, const LogDemuxer::OnData& on_data,
                      std::stop_token stop) = 0;

    // Any thread. Guests without a network send nothing, and are not counted.

    /// What of `connect` needs no guest yet. Throws std::runtime_error; `forget_traffic` undoes it.
    virtual void ready_network(const TrafficTerms& terms);
    /// Of a lease that has a guest: its limit, when it is another one.
    virtual void meter_traffic(const TrafficTerms& terms);
    /// Nothing where the lease is not counted.
    [[nodiscard]] virtual std::optional<GuestTraffic> traffic_of(const std::string& lease_id);
    /// Its guests have ended, and nobody asks again.
    virtual void forget_traffic(const std::string& lease_id);

    /// Any thread. Whether `user_of` can be had, and what a guest uses be measured: a cluster's guests are
    /// out of reach for that.
    [[nodiscard]] virtual bool reaches_guests() const { return false; }

    /// Any thread. Whether the guest of these cards runs on this host: then the guard here can freeze it,
    /// and its working storage is mounted here. Elsewhere the node sees to both.
    [[nodiscard]] virtual bool is_here(const std::vector<LeaseCard>& cards) const = 0;
};

inline ImageFacts Runtime::obtain_private_image(const std::string&, const std::string&, std::stop_token) {
    throw ImageError("an image cannot be pulled with a login of its renter here");
}

inline void Runtime::watch_pulls(OnProgress) {}

inline void Runtime::connect(const std::string&, const TrafficTerms&) {}

inline HostUser Runtime::user_of(const std::string&, const ImageFacts&) {
    throw RuntimeError("the guest's user is not known here");
}

inline std::optional<std::int64_t> Runtime::run_in(const std::string&, const std::vector<std::string>&,
                                                   std::int64_t, std::stop_token) {
    throw RuntimeError("nothing can be run in the guest from here");
}

inline void Runtime::ready_network(const TrafficTerms&) {}
inline void Runtime::meter_traffic(const TrafficTerms&) {}
inline std::optional<GuestTraffic> Runtime::traffic_of(const std::string&) {
    return std::nullopt;
}
inline void Runtime::forget_traffic(const std::string&) {}

/// Each thread has one of its own.
using ConnectRuntime = std::function<std::unique_ptr<Runtime>()>;

}  // namespace fallow::agent
