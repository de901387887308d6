#include "market/filling.hpp"

#include <algorithm>

#include "market/host_life.hpp"
#include "market/jobs.hpp"
#include "market/leases.hpp"
#include "market/listings.hpp"
#include "market/policy_check.hpp"
#include "market/pools.hpp"
#include "market/quotes.hpp"
#include "market/spot.hpp"
#include "market/traffic.hpp"

namespace fallow::market {
namespace {

using ledger::AccountKind;
using ledger::Micros;

Lease lease_for(const Transaction& tx, const Order& order, const Member& member) {
    const Rules& rules = tx.state().rules();
    const Listing& listing = tx.state().at<Listing>(member.listing);
    Lease lease;
    lease.order = order.id;
    lease.renter = order.organization;
    lease.seller = listing.organization;
    lease.host = listing.host;
    lease.listing = listing.id;
    lease.hosts = order.hosts;
    lease.pinned = !order.job;
    lease.chosen_by = member.chosen_by;
    lease.price = price_of(order, member, listing);
    lease.storage_bytes = order.storage_bytes;
    lease.storage_price = storage_price_of(order, member, listing);
    lease.egress_price = egress_price_of(order, member, listing);
    lease.egress_mib_max = egress_limit(order, lease.egress_price);
    if (is_spot(order)) price_new_lease(tx.state(), lease, order, listing, member.cards, tx.now());
    lease.thousandths = static_cast<std::int32_t>(member.cards.size()) * member.thousandths;
    lease.fee_ppm = fee_of(order, tx.state().settings());
    lease.term = order.term;
    lease.reclaim_notice = listing.reclaim_notice;
    lease.epoch = tx.context().epoch;
    lease.allocated_at = tx.now();
    lease.phase_deadline = tx.now() + (order.job ? rules.accept_deadline : rules.attach_deadline);
    lease.cards = member.cards;
    const PolicyDecision allowed = policy_decision(pair_up(tx.state(), order, listing, tx.now()),
                                                   tx.state().at<Card>(member.cards.front()));
    lease.policy_version = allowed.version;
    if (allowed.rule != nullptr) lease.policy_rule = allowed.rule->name;
    std::optional<Time> closes = closes_at(listing, tx.now());
    if (const auto longest = longest_before_maintenance(tx.state().at<Host>(listing.host), tx.now()))
        closes = std::min(closes.value_or(tx.now() + *longest), tx.now() + *longest);
    if (closes) lease.ends_by = *closes - rules.stop_grace;
    lease.held = hold_wanted(rules, lease, is_spot(order) ? order.price_max : lease.price);
    return lease;
}

void assign_job(Transaction& tx, JobId id, Lease& lease) {
    Job job = tx.state().at<Job>(id);
    job.state = JobState::assigned;
    job.lease = lease.id;
    job.order = lease.order;
    job.attempts += 1;
    job.restarts = 0;
    lease.attempt = job.attempts;
    tx.update(std::move(job), "job.assigned");
}

/// One member's lease, with its hold and its cards, and with its job if the order has one.
LeaseId add_lease(Transaction& tx, const Order& order, const Member& member, std::int32_t rank,
                  std::optional<JobId> job) {
    Lease lease = lease_for(tx, order, member);
    lease.id = tx.make_id<LeaseId>();
    lease.nonce = tx.make_nonce();
    lease.rank = rank;
    lease.job = job;
    if (lease.job) assign_job(tx, *lease.job, lease);
    if (lease.held.count > 0)
        tx.transfer(tx.state().account(order.organization, AccountKind::available),
                    tx.state().account(order.organization, AccountKind::held), lease.held,
                    ledger::TransferReason::hold, lease.id);
    tx.insert(lease, "lease.allocated");
    if (lease.spot_floor) begin_segment(tx, lease);
    for (const CardId card : lease.cards)
        tx.use_card(lease.id, card, member.thousandths);
    return lease.id;
}

/// What a hold is reckoned from; `price` is the highest that may apply.
struct Wanted {
    ledger::Price price;
    std::int32_t thousandths;
    Micros storage_price;
    Micros egress_price;
    Millis notice;
};
Micros hold_of(const State& state, const Order& order, const Wanted& wanted) {
    Lease lease;
    lease.thousandths = wanted.thousandths;
    lease.term = order.term;
    lease.reclaim_notice = wanted.notice;
    lease.storage_bytes = order.storage_bytes;
    lease.storage_price = wanted.storage_price;
    lease.egress_price = wanted.egress_price;
    lease.egress_mib_max = egress_limit(order, wanted.egress_price);
    return hold_wanted(state.rules(), lease, wanted.price);
}

}  // namespace

Micros first_hold(const State& state, const Order& order, const Match& match) {
    Micros sum(0);
    for (const Member& member : match.members) {
        const Listing& listing = state.at<Listing>(member.listing);
        const auto thousandths = static_cast<std::int32_t>(member.cards.size()) * member.thousandths;
        const auto price = is_spot(order) ? order.price_max : price_of(order, member, listing);
        sum = sum + hold_of(state, order,
                            {price, thousandths, storage_price_of(order, member, listing),
                             egress_price_of(order, member, listing), listing.reclaim_notice});
    }
    return sum;
}

Micros first_hold_at_limit(const State& state, const Order& order) {
    // Without a limit of its own, what storage will cost is known with the listing alone.
    const Micros storage = order.storage_price_max.value_or(Micros(0));
    const Micros one =
        hold_of(state, order,
                {order.price_max, order.count * order.thousandths, storage, Micros(0), Millis(0)}) +
        traffic_at_limit(order);
    return Micros(one.count * order.hosts);
}

Status check_funds(const State& state, OrganizationId renter, Micros wanted) {
    if (wanted.count == 0) return Done{};
    return ledger::check_transfer(state.account(renter, AccountKind::available),
                                  state.account(renter, AccountKind::held), wanted);
}

void fill(Transaction& tx, OrderId id, const Match& match) {
    Order order = tx.state().at<Order>(id);
    order.state = OrderState::filled;
    order.promised.clear();
    order.hourly = Micros(0);
    const std::vector<JobId> jobs = jobs_of(tx.state(), order);
    for (std::size_t rank = 0; rank < match.members.size(); ++rank) {
        const auto job = jobs.empty() ? std::nullopt : std::optional(jobs.at(rank));
        const LeaseId lease =
            add_lease(tx, order, match.members[rank], static_cast<std::int32_t>(rank), job);
        order.lease = order.lease.value_or(lease);
        order.hourly = *order.hourly + ledger::hourly(tx.state().at<Lease>(lease).rate());
    }
    tx.update(std::move(order), "order.filled");
}

}  // namespace fallow::market
