// The way of all guests of this host to the outside: a network namespace of its own, through which every
// packet of theirs has to go, and whose rules (egress.hpp) no guest can reach: it belongs to the host's own
// user namespace, and is neither the guest's nor the host's. So whatever a guest may become within its
// container, and whatever else loads or flushes the host's rules, the gate keeps what it keeps.
//
//   guest: eth0 ── g5 :gate: uplink ── fwup0 :host: the host's own routes
//
// The rules for a guest's line are made before the guest has a process, and the line once it has one.
//
// What each lease's guests send to the internet is counted and limited there, too (guest_traffic.hpp).
//
// It needs to be root, `ip` and `nft`. What it made stays when the agent ends, as containers do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/egress.hpp"
#include "agent/guest_traffic.hpp"
#include "agent/ruleset_version.hpp"

namespace fallow::agent {

struct GateOptions {
    std::filesystem::path folder;  ///< where the namespace is kept open, in the agent's state folder
    std::filesystem::path run_folder = "/run/fallow";  ///< gone with the host's next boot
    EgressPolicy policy = {};
    std::string ip_program = "/sbin/ip";
    std::string nft_program = "/usr/sbin/nft";
};

/// Any thread. Everything throws std::runtime_error, with what to do.
class NetworkGate {
  public:
    explicit NetworkGate(GateOptions options) : options_(std::move(options)) {}

    /// Makes the gate and its rules, or puts what is there in order again.
    void open();
    /// All that a guest of the lease needs and that can be had before it has a process, so that `connect`
    /// has little left to do: the rules for its line. A lease that is never connected is to be forgotten.
    /// Quick for one that is ready.
    void make_ready(const TrafficTerms& terms);
    /// Gives the network namespace of process `pid` an eth0 behind the gate, and only once the rules are in
    /// force. The interface goes with its namespace. What is sent there counts as the lease's.
    void connect(std::int64_t pid, const TrafficTerms& terms);

    /// From before its first guest on: where the lease's count begins, and its limit. A count that is there
    /// goes on; a limit that is another one takes the old one's place.
    void meter(const TrafficTerms& terms);
    /// Nothing where the lease is not counted.
    [[nodiscard]] std::optional<GuestTraffic> traffic_of(const std::string& lease_id);
    /// Its guests have ended.
    void forget(const std::string& lease_id);
    /// Takes the gate away, and every guest's line with it.
    void close();

    [[nodiscard]] std::string resolv_conf() const;

  private:
    [[nodiscard]] std::filesystem::path handle() const { return options_.folder / "gate"; }
    [[nodiscard]] bool is_open() const;
    void make_namespace();
    void make_uplink(int gate) const;
    void make_rules(int gate);
    void forward_here() const;
    void open_locked();
    [[nodiscard]] int choose_line(const std::string& lease_id, int gate) const;
    void make_ready_locked(const TrafficTerms& terms);
    void batch(int network, const std::string& commands) const;
    [[nodiscard]] std::optional<RulesetVersion> load_rules(int network, const std::string& rules) const;
    void make_host_rules();
    [[nodiscard]] const GateTraffic& read_traffic(int gate);
    [[nodiscard]] const GateTraffic& known_traffic(int gate);
    [[nodiscard]] const GateTraffic& traffic_before(const TrafficTerms& terms, int gate);
    void change_traffic(int gate, const RuleBatch& rules, GateTraffic then);
    [[nodiscard]] std::string uncounted_guests(int gate);

    GateOptions options_;
    std::mutex mutex_;
    std::string rules_in_force_;        ///< in the gate, as far as this process knows
    std::map<std::string, int> ready_;  ///< by lease, the number of the line that its next guest gets
    // What nft need not be asked again, and told again, while nobody else has changed any rule.
    std::string host_rules_;                           ///< of this host, as they were loaded last
    std::optional<RulesetVersion> host_version_ = {};  ///< that they made
    GateTraffic traffic_;                              ///< its counts are of when it was listed last
    std::optional<RulesetVersion> traffic_version_ = {};
};

}  // namespace fallow::agent
