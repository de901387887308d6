// What a lease may send to the internet, and what that costs. An order says how many GiB each of its hosts
// may send, and what more may cost beyond them (its overage); at a lease's price that is a number of whole
// MiB, whose price is held from the lease's start. How much was sent is its host's word.
#pragma once

#include <optional>

#include "base/result.hpp"
#include "market/matching.hpp"

namespace fallow::market {

/// What the order pays for a GiB sent: the listing's price, but never more than its limit.
[[nodiscard]] ledger::Micros egress_price_of(const Order& order, const Listing& listing);
/// The same on one of its hosts: what was quoted for it holds.
[[nodiscard]] ledger::Micros egress_price_of(const Order& order, const Member& member,
                                             const Listing& listing);

/// How many MiB each of the order's hosts may send at that price, less what earlier attempts have used;
/// none where it costs nothing: then there is no limit.
[[nodiscard]] std::optional<std::int64_t> egress_limit(const Order& order, ledger::Micros per_gib);

/// What all of it costs at most on each host, at the order's own limits.
[[nodiscard]] ledger::Micros traffic_at_limit(const Order& order);

/// missing_field for an order that could send something at any price. One with a quote needs none.
[[nodiscard]] Status check_traffic(const Order& order);

/// What is used of the order's traffic once its lease has ended. What cost nothing uses up nothing.
[[nodiscard]] TrafficUsed used_after(const Order& order, const Lease& ended);
/// What the next attempt of a gang's jobs finds used: on the host that used most.
[[nodiscard]] TrafficUsed most_of(const TrafficUsed& a, const TrafficUsed& b);

/// Adds the price of what a lease that begins may send to its hold. What is available does not cover all of
/// it: then the lease may send what it does cover.
void hold_traffic_in_reach(Lease& lease, ledger::Micros available);

}  // namespace fallow::market
