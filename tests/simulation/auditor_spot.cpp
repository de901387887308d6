// The rules of spot prices: nobody pays more than the own bid, and only for time that follows a price.
#include <algorithm>

#include "simulation/auditor.hpp"

namespace fallow::sim {
namespace {

using market::OrderState;

void require(bool holds, const char* rule, const std::string& detail) {
    if (!holds) throw Violation(rule, detail);
}

/// A price begins with the running time, where a statement's accepted time ends, or, cut by a lowered bid,
/// anywhere: what a statement of this very batch has proved is never charged at the price that came after
/// it.
bool begins_in_time(const market::Changes& changes, const market::LeaseSegment& segment,
                    ledger::Price before) {
    const bool is_cut_by_bid = segment.price == segment.bid && segment.price < before;
    return segment.from.count == 0 || is_cut_by_bid ||
           std::ranges::any_of(changes.usage.inserts, [&](const market::Usage& usage) {
               return usage.lease == segment.lease && usage.accepted_running == segment.from;
           });
}

}  // namespace

void Auditor::check_spot(const market::Changes& changes) {
    for (const market::LeaseSegment& segment : changes.lease_segments.inserts) {
        auto& known = segments_[segment.lease];
        const std::string id = segment.lease.text();
        require(segment.price <= segment.bid, "price_within_bid", id);
        require(segment.sequence == static_cast<std::int64_t>(known.size()) + 1, "segments_in_order", id);
        if (known.empty())
            require(segment.from.count == 0, "segments_in_order", id);
        else
            require(
                segment.from >= known.back().from && begins_in_time(changes, segment, known.back().price),
                "no_price_for_time_that_passed", id);
        if (!known.empty()) world_.hit("spot price changed");
        known.push_back(segment);
    }
    const auto look = [&](const market::Order& order) {
        const std::string mark = "spot " + order.id.text();
        const std::string before = states_[mark];
        const bool is_promised = order.state == OrderState::standing && !order.promised.empty();
        states_[mark] = is_promised ? "promised" : "";
        if (is_promised && before.empty()) world_.hit("spot promise");
        if (!is_promised && before == "promised")
            world_.hit(order.state == OrderState::filled ? "spot promise kept" : "spot promise ended");
        if (order.bid_changed_at) world_.hit("spot bid changed");
    };
    // An order that is placed and promised something in one batch is one row that was not there before.
    std::ranges::for_each(changes.orders.inserts, look);
    std::ranges::for_each(changes.orders.updates, look);
    std::map<CardId, int> promises;
    for (const auto& [id, order] : rows<market::Order>())
        if (order.state == OrderState::standing)
            for (const CardId card : order.promised)
                require(++promises[card] == 1, "one_promise_a_card", card.text());
}

/// Over all stretches at one price; a lease at a fixed price has one. Storage costs the same in each, and
/// what was sent the same at any time.
Int128 Auditor::numerator_of(const market::Lease& lease) const {
    const auto cost = [&](ledger::Price price, Millis span) {
        return static_cast<Int128>(price.micros_per_hour) * span.count * lease.thousandths;
    };
    const Int128 storage = static_cast<Int128>(lease.storage_price.count) * lease.storage_bytes * 1000 /
                           730 / 1'073'741'824 * lease.meter.running.count;
    Int128 sum =
        storage + static_cast<Int128>(lease.egress_price.count) * lease.meter.egress_mib * 3'515'625;
    if (!lease.spot_floor) return cost(lease.price, lease.meter.running) + sum;
    const auto& segments = segments_.at(lease.id);
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const Millis end = i + 1 < segments.size() ? segments[i + 1].from : lease.meter.running;
        sum += cost(segments[i].price, end - segments[i].from);
    }
    return sum;
}

void Auditor::check_bid(const market::Lease& lease) const {
    const std::string id = lease.id.text();
    const market::Order& order = rows<market::Order>().at(lease.order);
    require(lease.price <= order.price_max, "price_within_bid", id);
    require(lease.price >= *lease.spot_floor, "price_not_below_floor", id);
    require(lease.price == segments_.at(lease.id).back().price, "segments_in_order", id);
}

}  // namespace fallow::sim
