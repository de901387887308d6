#include "market/traffic.hpp"

#include <algorithm>

namespace fallow::market {

using ledger::mib_per_gib;
using ledger::Micros;

Micros egress_price_of(const Order& order, const Listing& listing) {
    return std::min(listing.egress_price, order.egress_price_max.value_or(listing.egress_price));
}

Micros egress_price_of(const Order& order, const Member& member, const Listing& listing) {
    return member.quoted ? std::min(listing.egress_price, member.quoted->egress_price)
                         : egress_price_of(order, listing);
}

std::optional<std::int64_t> egress_limit(const Order& order, Micros per_gib) {
    if (per_gib.count == 0) return std::nullopt;
    const Micros overage = order.overage_max - order.traffic_used.overage;
    const Int128 ordered = order.egress_gib * mib_per_gib - order.traffic_used.mib;
    const Int128 more = static_cast<Int128>(overage.count) * mib_per_gib / per_gib.count;
    return static_cast<std::int64_t>(std::min<Int128>(ordered + more, limits::egress_mib_max));
}

Micros traffic_at_limit(const Order& order) {
    // Where only a price of nothing is taken, nothing is held.
    if (order.egress_price_max == Micros(0)) return Micros(0);
    const std::int64_t ordered = order.egress_gib * mib_per_gib - order.traffic_used.mib;
    return ledger::cost_ceiling(ledger::Traffic{order.egress_price_max.value_or(Micros(0)), ordered}) +
           order.overage_max - order.traffic_used.overage;
}

Status check_traffic(const Order& order) {
    if (order.egress_gib == 0 || order.egress_price_max) return Done{};
    return refuse(ErrorCode::missing_field,
                  "Say what a GiB sent may cost at most, for a cheap card may have dear traffic.",
                  "/egress_micros_per_gib_max");
}

TrafficUsed used_after(const Order& order, const Lease& ended) {
    TrafficUsed used = order.traffic_used;
    if (ended.egress_price.count == 0) return used;
    const std::int64_t ordered =
        std::min(ended.meter.egress_mib, order.egress_gib * mib_per_gib - used.mib);
    used.mib += ordered;
    used.overage = used.overage + ledger::cost_ceiling(ledger::Traffic{ended.egress_price,
                                                                       ended.meter.egress_mib - ordered});
    return used;
}

TrafficUsed most_of(const TrafficUsed& a, const TrafficUsed& b) {
    return {std::max(a.mib, b.mib), std::max(a.overage, b.overage)};
}

void hold_traffic_in_reach(Lease& lease, Micros available) {
    if (ledger::cost_ceiling(lease.traffic_left()) > available)
        lease.egress_mib_max = static_cast<std::int64_t>(static_cast<Int128>(available.count) *
                                                         mib_per_gib / lease.egress_price.count);
    lease.held = lease.held + ledger::cost_ceiling(lease.traffic_left());
}

}  // namespace fallow::market
