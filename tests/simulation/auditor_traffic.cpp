// The rules of traffic: nobody pays for more than was allowed, held for, and sent.
#include "simulation/auditor_traffic.hpp"

#include <algorithm>

namespace fallow::sim {
namespace {

void require(bool holds, const char* rule, const std::string& detail) {
    if (!holds) throw Violation(rule, detail);
}

std::int64_t most_mib(const market::Order& order, ledger::Micros per_gib) {
    const Int128 beyond = order.overage_max.count - order.traffic_used.overage.count;
    const Int128 all = order.egress_gib * 1024 - order.traffic_used.mib +
                       beyond * 1024 / std::max<std::int64_t>(1, per_gib.count);
    return static_cast<std::int64_t>(std::min<Int128>(all, (std::int64_t{1} << 33) - 1));
}

}  // namespace

Int128 most_traffic(const market::Order& order, ledger::Micros per_gib) {
    return static_cast<Int128>(per_gib.count) * most_mib(order, per_gib);
}

void Auditor::check_traffic(const market::Lease& lease) const {
    const std::string id = lease.id.text();
    const market::Order& order = rows<market::Order>().at(lease.order);
    const std::int64_t sent = lease.meter.egress_mib;
    if (order.egress_price_max)
        require(lease.egress_price <= *order.egress_price_max, "traffic_within_price_limit", id);
    require(lease.egress_mib_max.has_value() == (lease.egress_price.count > 0),
            "traffic_limited_where_priced", id);
    if (lease.egress_mib_max) {
        require(*lease.egress_mib_max <= most_mib(order, lease.egress_price), "traffic_within_order", id);
        require(sent <= *lease.egress_mib_max, "traffic_within_limit", id);
        if (sent > 0)
            world_.hit(sent == *lease.egress_mib_max ? "traffic is used up" : "traffic is charged");
    }
    if (lease.state != market::LeaseState::ended) {
        const Int128 left = static_cast<Int128>(lease.egress_price.count) *
                            (lease.egress_mib_max.value_or(sent) - sent) * 3'515'625;
        require(
            (lease.meter.numerator + left) / 3'600'000'000 <= lease.meter.charged.count + lease.held.count,
            "traffic_is_held", id);
    }
    if (sent == 0 || hosts_.at(lease.host)->is_lying) return;
    require(!hosts_.at(lease.host)->is_old, "only_stated_traffic_charged", id);
    require(sent <= machines_.containers.at(*lease.container).sent_until(world_.now()) >> 20,
            "only_sent_traffic_charged", id);
}

/// All attempts of a job together cost no more than its order allows for one, at the dearest price among
/// theirs.
void Auditor::check_traffic_of_jobs() const {
    struct Sum {
        Int128 numerator = 0;
        std::int64_t dearest = 0;
        int attempts = 0;
        const market::Order* order = nullptr;
    };
    std::map<JobId, Sum> sums;
    for (const auto& [id, lease] : rows<market::Lease>()) {
        if (!lease.job || lease.egress_price.count == 0) continue;
        Sum& sum = sums[*lease.job];
        sum.numerator += static_cast<Int128>(lease.egress_price.count) * lease.meter.egress_mib;
        sum.dearest = std::max(sum.dearest, lease.egress_price.count);
        sum.attempts += lease.meter.egress_mib > 0 ? 1 : 0;
        sum.order = &rows<market::Order>().at(lease.order);
    }
    for (const auto& [job, sum] : sums) {
        const Int128 most = static_cast<Int128>(sum.dearest) * sum.order->egress_gib * 1024 +
                            static_cast<Int128>(sum.order->overage_max.count) * 1024;
        require(sum.numerator <= most, "attempts_share_the_traffic", job.text());
        if (sum.attempts > 1) world_.hit("traffic of several attempts");
    }
}

}  // namespace fallow::sim
