// What guests send to the internet: the rules by which nftables counts and limits it in the gate, and what
// nft says of them. Pure: network_gate.hpp puts them in force.
//
// The table `traffic` lies behind the policy (egress.hpp), so what the policy drops is not counted, and is
// a table of its own, so that a policy put in force anew leaves the counts alone. A lease has a chain, a
// quota and two counters by its name; the interface of each of its guests leads there. So two guests are
// counted apart, and a lease goes on where it was when its guest, the agent or the policy is another one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/rule_batch.hpp"

namespace fallow::agent {

/// How a lease's guests are counted: on from `sent_bytes`, where the gate does not know of it yet.
struct TrafficTerms {
    std::string lease_id;
    std::int64_t sent_bytes = 0;
    std::optional<std::int64_t> bytes_max = {};  ///< beyond that nothing gets out; nothing: no limit
};

/// Octets of IP packets that went out, their headers included, both families.
struct GuestTraffic {
    std::int64_t sent_bytes = 0;
    std::optional<std::int64_t> bytes_max = {};
    bool was_refused = false;  ///< something was kept back by the limit
    friend bool operator==(const GuestTraffic&, const GuestTraffic&) = default;
};

struct GateTraffic {
    bool is_there = false;                        ///< the table
    std::map<std::string, GuestTraffic> leases;   ///< by id
    std::map<std::string, std::string> lease_at;  ///< by interface
};

/// Of `nft -j list ruleset`. Throws std::runtime_error when it has not the expected form.
[[nodiscard]] GateTraffic parse_traffic(std::string_view ruleset_json);

/// The table without anybody in it; what is there already stays. A guest that no rule knows gets nothing
/// out.
[[nodiscard]] std::string traffic_rules();
/// For guests of before there was such a table: they go on uncounted until they end.
[[nodiscard]] std::string uncounted_rules(const std::vector<std::string>& interfaces);

// Each throws std::runtime_error for what cannot be the name of a lease, and says nothing where nothing has
// to change.
[[nodiscard]] RuleBatch meter_rules(const TrafficTerms& terms, const GateTraffic& now);
/// From here on the interface is one of the lease's guests.
[[nodiscard]] RuleBatch guest_rules(const std::string& interface_name, const std::string& lease_id,
                                    const GateTraffic& now);
[[nodiscard]] RuleBatch forget_rules(const std::string& lease_id, const GateTraffic& now);

// What the rules of those three make of a gate.
[[nodiscard]] GateTraffic with_meter(const TrafficTerms& terms, GateTraffic before);
[[nodiscard]] GateTraffic with_guest(const std::string& interface_name, const std::string& lease_id,
                                     GateTraffic before);
[[nodiscard]] GateTraffic without_lease(const std::string& lease_id, GateTraffic before);

/// A line for the renter's log: how much of the limit was used when it became due.
struct TrafficNotice {
    std::int64_t percent = 0;  ///< 90 or 100
    std::string text;
};
/// The last one due, if any.
[[nodiscard]] std::optional<TrafficNotice> traffic_notice(const GuestTraffic& traffic);

}  // namespace fallow::agent
