#include "market/jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "market/explain.hpp"
#include "market/failed_starts.hpp"
#include "market/filling.hpp"
#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/listings.hpp"
#include "market/matching.hpp"
#include "market/policy_check.hpp"
#include "market/quotes.hpp"
#include "market/search/query.hpp"
#include "market/spot.hpp"
#include "market/traffic.hpp"

namespace fallow::market {
namespace {

/// The next attempt stands where the first one stood: same requirements, same age. The jobs of a gang go
/// back together.
void requeue(Transaction& tx, std::vector<Job> jobs, Millis term) {
    Order order = tx.state().at<Order>(*jobs.front().order);
    order.term = term;
    limit_to_quote(tx.state(), order);
    for (const Job& job : jobs)
        order.traffic_used = most_of(order.traffic_used, job.traffic_used);
    const Millis lifetime = order.expires_at - order.placed_at;
    order.id = tx.make_id<OrderId>();
    order.state = OrderState::standing;
    order.reason.reset();
    order.lease.reset();
    order.policy_version.reset();
    order.policy_rule.reset();
    order.policy_effect.reset();
    order.promised.clear();
    order.fill_or_kill = false;
    order.hourly.reset();
    order.expires_at = tx.now() + lifetime;
    order.version = 1;
    tx.insert(order, "order.placed");
    for (Job& job : jobs) {
        job.state = JobState::queued;
        job.order = order.id;
        job.exit_code.reset();
        tx.update(std::move(job), "job.requeued");
    }
    match_standing_orders(tx);
}

void finish_job(Transaction& tx, Job job, JobState state, std::string_view event, std::string_view reason) {
    job.state = state;
    job.finished_at = tx.now();
    tx.update(std::move(job), event, reason);
}

void close_order(Transaction& tx, const Order& standing, OrderState state, OrderReason reason) {
    Order order = standing;
    order.state = state;
    order.reason = reason;
    order.promised.clear();
    tx.update(std::move(order), state == OrderState::expired ? "order.expired" : "order.cancelled",
              name_of(reason));
}

/// The jobs of an order that will never be filled.
void finish_queued_jobs(Transaction& tx, const Order& order, JobState state, std::string_view event,
                        std::string_view reason) {
    for (const JobId id : jobs_of(tx.state(), order)) {
        const Job& job = tx.state().at<Job>(id);
        if (job.state == JobState::queued) finish_job(tx, job, state, event, reason);
    }
}
void cancel_queued_jobs(Transaction& tx, const Order& order) {
    finish_queued_jobs(tx, order, JobState::cancelled, "job.cancelled", {});
}

/// A member of a gang may have ended already, and wait for the others.
void stop_attempt(Transaction& tx, const Job& job) {
    const Millis grace = tx.state().rules().stop_grace;
    if (!job.is_member()) return stop_lease(tx, *job.lease, EndReason::cancelled_by_renter, grace);
    const State::ByRank<LeaseId> leases = tx.state().leases_of(*job.order);
    for (const auto& [rank, lease] : leases)
        stop_lease(tx, lease, EndReason::cancelled_by_renter, grace);
}

Order order_of(const Transaction& tx, const PlaceOrder& command) {
    Order order;
    order.organization = tx.context().caller.organization;
    order.requirements = command.requirements;
    order.count = command.count;
    order.thousandths = command.thousandths;
    order.hosts = command.hosts;
    order.nvlink = command.nvlink;
    order.pricing = command.pricing;
    order.price_max = command.price_max;
    order.storage_price_max = command.storage_price_max;
    if (command.job) order.storage_bytes = command.job->storage_bytes;
    order.egress_gib = command.egress_gib.value_or(command.quote ? command.quote->moved_gib : 0);
    order.egress_price_max = command.egress_price_max;
    order.overage_max = command.overage_max;
    order.term = command.term;
    order.fill_or_kill = command.fill_or_kill;
    order.placed_at = tx.now();
    order.expires_at = tx.now() + command.expires_in;
    order.end_use = command.end_use;
    return order;
}

/// The listing that an order says it must have.
Status check_listing(const State& state, const std::optional<ListingId>& listing) {
    if (!listing || state.find<Listing>(*listing) != nullptr) return Done{};
    return refuse(ErrorCode::not_found, fmt::format("There is no {} here.", listing->text()),
                  "/requirements/listing_id");
}

/// What serves an order that has just come.
std::optional<Match> match_now(const State& state, const Order& order, const PlaceOrder& command,
                               Time now) {
    const std::string* image = command.job ? &command.job->image : nullptr;
    if (command.quote) return match_quoted(state, order, *command.quote, now, image);
    auto match = find_match(state, order, now, image);
    if (match && !is_payable(state, order, *match))
        if (auto payable = find_payable_match(state, order, now, image)) return payable;
    return match;
}

Status check_place(const Transaction& tx, const PlaceOrder& command, const Order& order) {
    const State& state = tx.state();
    const OrganizationId renter = tx.context().caller.organization;
    if (const auto open = check_may_trade(state, renter); !open) return open;
    if (command.job)
        if (const auto allowed = check_image(state, command.job->image); !allowed) return allowed;
    if (command.job)
        if (const auto allowed = check_may_start(state, renter, tx.now()); !allowed) return allowed;
    if (const auto there = check_listing(state, command.requirements.listing); !there) return there;
    if (const auto fine = check_shape(order); !fine) return fine;
    if (!command.quote)
        if (const auto fine = check_traffic(order); !fine) return fine;
    if (command.pricing == OrderPricing::spot &&
        (command.hosts > 1 || command.thousandths < limits::thousandths_per_card))
        return refuse(ErrorCode::invalid_field, "A bid is for whole cards on one host.", "/pricing");
    if (command.nvlink == NvlinkWish::require &&
        (command.count < 2 || command.pricing == OrderPricing::spot))
        return refuse(
            ErrorCode::invalid_field,
            "Only an order at a fixed price for two cards or more of each host can require NVLink.",
            "/nvlink");
    if (state.standing_orders(renter) >= limits::standing_orders_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("An organization has at most {} standing orders: cancel some.",
                                  limits::standing_orders_per_organization_max));
    return Done{};
}

/// Writes down what the policy said when nothing but it kept the order from a match.
void note_obstacle(const Transaction& tx, Order& order, const std::string* image) {
    const auto obstacle = policy_obstacle(tx.state(), order, tx.now(), image);
    if (!obstacle) return;
    order.policy_version = obstacle->version;
    order.policy_rule = obstacle->rule->name;
    order.policy_effect = obstacle->rule->effect;
}

bool is_denied_its_listing(const Order& order) {
    return order.policy_effect == PolicyEffect::deny && order.requirements.listing.has_value();
}

/// An order that cannot wait for another listing ends here, on record.
OrderPlaced reject(Transaction& tx, Order order) {
    order.id = tx.make_id<OrderId>();
    order.state = OrderState::rejected;
    order.reason = order.policy_effect == PolicyEffect::deny ? OrderReason::policy_denied
                                                             : OrderReason::approval_needed;
    tx.insert(order, "order.rejected", name_of(*order.reason));
    return {std::move(order), std::nullopt, std::nullopt};
}

/// `place`: rank and number of the order's hosts.
Job insert_job(Transaction& tx, const JobRequest& request, OrganizationId owner, OrderId order,
               std::optional<LeaseId> lease, std::pair<std::int32_t, std::int32_t> place) {
    Job job;
    std::tie(job.rank, job.hosts) = place;
    job.id = tx.make_id<JobId>();
    job.organization = owner;
    job.state = lease ? JobState::assigned : JobState::queued;
    job.order = order;
    job.lease = lease;
    job.image = request.image;
    job.max_duration = request.max_duration;
    job.attempts_max = request.attempts_max;
    job.attempts = lease ? 1 : 0;
    job.queued_at = tx.now();
    tx.insert(job, lease ? "job.assigned" : "job.queued");
    tx.add_job_spec(JobSpec{job.id, job.organization, request.document});
    return job;
}

}  // namespace

bool is_retried(EndReason reason) {
    switch (reason) {
        case EndReason::host_lost:
        case EndReason::host_maintenance:
        case EndReason::outbid:
        case EndReason::reclaimed_by_owner:
        case EndReason::start_failed:
        case EndReason::start_timeout:
        case EndReason::temporary_failure:
        case EndReason::unhealthy:
            return true;
        case EndReason::completed:
        case EndReason::command_failed:
        case EndReason::out_of_memory:
        case EndReason::duration_exceeded:
        case EndReason::cancelled_by_renter:
        case EndReason::term_reached:
        case EndReason::funds_exhausted:
        case EndReason::image_pull_failed:
        case EndReason::policy_revoked:
        case EndReason::idle:
            return false;
    }
    return false;
}

std::vector<JobId> jobs_of(const State& state, const Order& order) {
    std::vector<JobId> jobs;
    for (const auto& [rank, id] : state.jobs_of(order.id))
        jobs.push_back(id);
    if (jobs.empty() && order.job) jobs.push_back(*order.job);
    return jobs;
}

namespace {

/// How long an attempt ran. Of a gang the member that ran longest counts: the next attempt has all of them
/// begin together. A member that is forgotten already is taken to have run since the attempt was allocated.
Millis longest_run(const State& state, const std::vector<Job>& jobs, Time now) {
    Millis longest(0);
    std::optional<Time> allocated_at;
    bool are_known = true;
    for (const Job& job : jobs) {
        const Lease* lease = job.lease ? state.find<Lease>(*job.lease) : nullptr;
        are_known = are_known && lease != nullptr;
        if (lease == nullptr) continue;
        longest = std::max(longest, lease->meter.running);
        allocated_at = lease->allocated_at;
    }
    if (are_known || !allocated_at) return longest;
    return std::max(longest, now - *allocated_at + state.rules().heartbeat);
}

/// What an attempt's end makes of its jobs: one, or a gang's, which end alike.
void settle(Transaction& tx, std::vector<Job> jobs, EndReason reason) {
    for (Job& job : jobs)
        job.reason = reason;
    const auto finish = [&](JobState state, std::string_view event) {
        for (Job& job : jobs)
            finish_job(tx, std::move(job), state, event, name_of(reason));
    };
    if (reason == EndReason::completed) return finish(JobState::succeeded, "job.succeeded");
    if (reason == EndReason::cancelled_by_renter) return finish(JobState::cancelled, "job.cancelled");
    const Job& first = jobs.front();
    const Order& order = tx.state().at<Order>(*first.order);
    if (is_retried(reason) && order.job && first.attempts < first.attempts_max) {
        if (const auto term = term_left(order, longest_run(tx.state(), jobs, tx.now())))
            return requeue(tx, std::move(jobs), *term);
    }
    finish(JobState::failed, "job.failed");
}

/// The one reason of a gang whose members have all ended. A cancellation counts most, then what the retry
/// policy covers: one host's loss makes the others' commands fail. Else the lowest rank that did not
/// complete.
EndReason reason_of(const std::vector<Job>& jobs) {
    EndReason reason = EndReason::completed;
    for (const Job& job : jobs) {
        if (job.reason == EndReason::cancelled_by_renter) return EndReason::cancelled_by_renter;
        const bool is_better =
            reason == EndReason::completed || (is_retried(*job.reason) && !is_retried(reason));
        if (is_better) reason = *job.reason;
    }
    return reason;
}

bool has_ended(const State& state, OrderId gang) {
    const auto& leases = state.leases_of(gang);
    return std::all_of(leases.begin(), leases.end(), [&](const auto& member) {
        return state.at<Lease>(member.second).state == LeaseState::ended;
    });
}

}  // namespace

void settle_job(Transaction& tx, JobId id, EndReason reason, std::optional<std::int32_t> exit_code) {
    Job job = tx.state().at<Job>(id);
    job.exit_code = exit_code;
    // Here the lease is still known; it may be forgotten before the last of a gang ends.
    job.traffic_used = used_after(tx.state().at<Order>(*job.order), tx.state().at<Lease>(*job.lease));
    if (!job.is_member()) return settle(tx, {std::move(job)}, reason);
    const OrderId gang = *job.order;
    job.reason = reason;
    tx.update(std::move(job), "job.member_ended", name_of(reason));
    if (!has_ended(tx.state(), gang)) return;
    std::vector<Job> jobs;
    for (const auto& [rank, member] : tx.state().jobs_of(gang))
        jobs.push_back(tx.state().at<Job>(member));
    const EndReason outcome = reason_of(jobs);
    settle(tx, std::move(jobs), outcome);
}

void expire_order(Transaction& tx, OrderId id) {
    const Order order = tx.state().at<Order>(id);
    close_order(tx, order, OrderState::expired, OrderReason::term_reached);
    finish_queued_jobs(tx, order, JobState::failed, "job.failed", "order_expired");
}

Result<Outcome> handle(Transaction& tx, const PlaceOrder& command) {
    const State& state = tx.state();
    Order order = order_of(tx, command);
    if (const auto allowed = check_place(tx, command, order); !allowed) return allowed.error();
    if (order.requirements.query && !order.requirements.compiled)
        if (const auto fine = search::compile(order.requirements); !fine) return fine.error();
    if (command.quote) {
        if (const auto good = check_quote(order, *command.quote, std::nullopt, tx.now()); !good)
            return good.error();
        put_under(order, *command.quote);
        if (const auto fine = check_storage(order, order.storage_bytes, "/job/disk_bytes"); !fine)
            return fine.error();
    }
    const std::string* image = command.job ? &command.job->image : nullptr;
    const auto match = match_now(state, order, command, tx.now());
    if (!match) note_obstacle(tx, order, image);
    if (order.policy_rule && (order.fill_or_kill || is_denied_its_listing(order)))
        return Outcome(reject(tx, std::move(order)));
    if (!match && order.fill_or_kill) return no_match(state, order, tx.now());
    const Status funded =
        check_funds(state, order.organization,
                    match ? first_hold(state, order, *match) : first_hold_at_limit(state, order));
    if (!funded) return funded.error();

    order.id = tx.make_id<OrderId>();
    for (std::int32_t rank = 0; command.job && rank < order.hosts; ++rank) {
        const Job job =
            insert_job(tx, *command.job, order.organization, order.id, std::nullopt, {rank, order.hosts});
        order.job = order.job.value_or(job.id);
    }
    tx.insert(order, "order.placed");
    if (match)
        fill(tx, order.id, *match);
    else
        displace_for(tx, order.id);

    OrderPlaced placed{state.at<Order>(order.id), std::nullopt, std::nullopt};
    if (placed.order.lease) placed.lease = state.at<Lease>(*placed.order.lease);
    if (order.job) placed.job = state.at<Job>(*order.job);
    for (const auto& [rank, lease] : state.leases_of(order.id))
        placed.members.push_back(state.at<Lease>(lease));
    return Outcome(std::move(placed));
}

Result<Outcome> handle(Transaction& tx, const CancelOrder& command) {
    const auto order = visible(tx, command.order);
    if (!order) return order.error();
    if ((*order)->state != OrderState::standing)
        return refuse(
            ErrorCode::wrong_state,
            fmt::format("The order is {}: only a standing order can be cancelled; end its lease instead.",
                        name_of((*order)->state)));

    close_order(tx, **order, OrderState::cancelled, OrderReason::cancelled_by_renter);
    cancel_queued_jobs(tx, tx.state().at<Order>(command.order));
    return Outcome(tx.state().at<Order>(command.order));
}

Result<Outcome> handle(Transaction& tx, const AttachJob& command) {
    const auto found = visible_to_renter(tx, command.lease);
    if (!found) return found.error();
    if ((*found)->state != LeaseState::allocated || (*found)->job)
        return refuse(ErrorCode::wrong_state,
                      "A job can only be brought to an allocated lease that has none.");
    if (const auto open = check_may_trade(tx.state(), (*found)->renter); !open) return open.error();
    if (const auto allowed = check_image(tx.state(), command.job.image); !allowed) return allowed.error();
    if (const auto allowed = check_may_start(tx.state(), (*found)->renter, tx.now()); !allowed)
        return allowed.error();
    const Listing* listing = tx.state().find<Listing>((*found)->listing);
    if (listing != nullptr && !admits(*listing, command.job.image))
        return refuse(ErrorCode::invalid_field,
                      fmt::format("The seller of these cards does not run {}: see the listing's "
                                  "images_allowed.",
                                  command.job.image),
                      "/image");

    Lease lease = **found;
    lease.storage_bytes = command.job.storage_bytes;
    const State& state = tx.state();
    if (const auto fine =
            check_storage(state.at<Order>(lease.order), command.job.storage_bytes, "/disk_bytes");
        !fine)
        return fine.error();
    const auto missing = missing_hold(state.rules(), lease, highest_price(state, lease));
    if (const auto funded = check_funds(state, lease.renter, missing); !funded) return funded.error();

    if (missing.count > 0)
        tx.transfer(state.account(lease.renter, ledger::AccountKind::available),
                    state.account(lease.renter, ledger::AccountKind::held), missing,
                    ledger::TransferReason::hold, lease.id);
    lease.held = lease.held + missing;
    const Job job = insert_job(tx, command.job, lease.renter, lease.order, lease.id, {0, 1});
    lease.job = job.id;
    lease.phase_deadline = tx.now() + tx.state().rules().accept_deadline;
    tx.update(std::move(lease), "lease.job_attached");
    return Outcome(tx.state().at<Job>(job.id));
}

Result<Outcome> handle(Transaction& tx, const CancelJob& command) {
    const auto found = visible(tx, command.job);
    if (!found) return found.error();
    const Job job = **found;
    switch (job.state) {
        case JobState::succeeded:
        case JobState::failed:
        case JobState::cancelled:
            return refuse(ErrorCode::wrong_state,
                          fmt::format("The job is {} already.", name_of(job.state)));
        case JobState::queued:
            close_order(tx, tx.state().at<Order>(*job.order), OrderState::cancelled,
                        OrderReason::cancelled_by_renter);
            cancel_queued_jobs(tx, tx.state().at<Order>(*job.order));
            break;
        case JobState::assigned:
        case JobState::running:
            stop_attempt(tx, job);
            break;
    }
    return Outcome(tx.state().at<Job>(command.job));
}

}  // namespace fallow::market
