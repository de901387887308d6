#include "market/jobs.hpp"

#include <fmt/format.h>

#include "market/explain.hpp"
#include "market/filling.hpp"
#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/matching.hpp"
#include "market/policy_check.hpp"
#include "market/quotes.hpp"
#include "market/search/query.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

/// The next attempt stands where the first one stood: same requirements, same age.
void requeue(Transaction& tx, Job job, Millis term) {
    Order order = tx.state().at<Order>(*job.order);
    order.term = term;
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
    order.expires_at = tx.now() + lifetime;
    order.version = 1;
    job.state = JobState::queued;
    job.order = order.id;
    job.exit_code.reset();
    tx.insert(order, "order.placed");
    tx.update(std::move(job), "job.requeued");
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

/// The job of an order that will never be filled.
void cancel_queued_job(Transaction& tx, const std::optional<JobId>& id) {
    if (!id) return;
    const Job& job = tx.state().at<Job>(*id);
    if (job.state == JobState::queued) finish_job(tx, job, JobState::cancelled, "job.cancelled", {});
}

Order order_of(const Transaction& tx, const PlaceOrder& command) {
    Order order;
    order.organization = tx.context().caller.organization;
    order.requirements = command.requirements;
    order.count = command.count;
    order.pricing = command.pricing;
    order.price_max = command.price_max;
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

/// What serves an order that has just come: of a quoted one nothing but the listing that was quoted.
std::optional<Match> match_now(const State& state, const Order& order, const PlaceOrder& command,
                               Time now) {
    if (!command.quote) return find_match(state, order, now);
    const Listing* quoted = state.find<Listing>(command.quote->listing);
    if (quoted == nullptr) return std::nullopt;
    auto member = fit(state, *quoted, order, now).member;
    return member ? std::optional(Match{{*std::move(member)}}) : std::nullopt;
}

Status check_place(const Transaction& tx, const PlaceOrder& command) {
    const State& state = tx.state();
    const OrganizationId renter = tx.context().caller.organization;
    if (const auto open = check_may_trade(state, renter); !open) return open;
    if (command.job)
        if (const auto allowed = check_image(state, command.job->image); !allowed) return allowed;
    if (const auto there = check_listing(state, command.requirements.listing); !there) return there;
    if (state.standing_orders(renter) >= limits::standing_orders_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("An organization has at most {} standing orders: cancel some.",
                                  limits::standing_orders_per_organization_max));
    return Done{};
}

/// Writes down what the policy said when nothing but it kept the order from a match.
void note_obstacle(const Transaction& tx, Order& order) {
    const auto obstacle = policy_obstacle(tx.state(), order, tx.now());
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

Job insert_job(Transaction& tx, const JobRequest& request, OrganizationId owner, OrderId order,
               std::optional<LeaseId> lease) {
    Job job;
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
            return false;
    }
    return false;
}

void settle_job(Transaction& tx, JobId id, EndReason reason, std::optional<std::int32_t> exit_code) {
    Job job = tx.state().at<Job>(id);
    job.reason = reason;
    job.exit_code = exit_code;
    if (reason == EndReason::completed)
        return finish_job(tx, std::move(job), JobState::succeeded, "job.succeeded", name_of(reason));
    if (reason == EndReason::cancelled_by_renter)
        return finish_job(tx, std::move(job), JobState::cancelled, "job.cancelled", name_of(reason));
    const Order& order = tx.state().at<Order>(*job.order);
    if (is_retried(reason) && order.job && job.attempts < job.attempts_max)
        if (const auto term = term_left(order, tx.state().at<Lease>(*job.lease).meter.running))
            return requeue(tx, std::move(job), *term);
    finish_job(tx, std::move(job), JobState::failed, "job.failed", name_of(reason));
}

void expire_order(Transaction& tx, OrderId id) {
    const Order order = tx.state().at<Order>(id);
    close_order(tx, order, OrderState::expired, OrderReason::term_reached);
    if (!order.job) return;
    const Job& job = tx.state().at<Job>(*order.job);
    if (job.state == JobState::queued) finish_job(tx, job, JobState::failed, "job.failed", "order_expired");
}

Result<Outcome> handle(Transaction& tx, const PlaceOrder& command) {
    if (const auto allowed = check_place(tx, command); !allowed) return allowed.error();
    const State& state = tx.state();
    Order order = order_of(tx, command);
    if (order.requirements.query && !order.requirements.compiled)
        if (const auto fine = search::compile(order.requirements); !fine) return fine.error();
    if (command.quote) {
        if (const auto good = check_quote(order, *command.quote, std::nullopt, tx.now()); !good)
            return good.error();
        put_under(order, *command.quote);
    }
    const auto match = match_now(state, order, command, tx.now());
    if (!match) note_obstacle(tx, order);
    if (order.policy_rule && (order.fill_or_kill || is_denied_its_listing(order)))
        return Outcome(reject(tx, std::move(order)));
    if (!match && order.fill_or_kill) return no_match(state, order, tx.now());
    const Status funded =
        check_funds(state, order.organization,
                    match ? first_hold(state, order, *match) : first_hold_at_limit(state, order));
    if (!funded) return funded.error();

    order.id = tx.make_id<OrderId>();
    if (command.job)
        order.job = insert_job(tx, *command.job, order.organization, order.id, std::nullopt).id;
    tx.insert(order, "order.placed");
    if (match)
        fill(tx, order.id, *match);
    else
        displace_for(tx, order.id);

    OrderPlaced placed{state.at<Order>(order.id), std::nullopt, std::nullopt};
    if (placed.order.lease) placed.lease = state.at<Lease>(*placed.order.lease);
    if (order.job) placed.job = state.at<Job>(*order.job);
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
    cancel_queued_job(tx, tx.state().at<Order>(command.order).job);
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

    Lease lease = **found;
    const Job job = insert_job(tx, command.job, lease.renter, lease.order, lease.id);
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
            cancel_queued_job(tx, job.id);
            break;
        case JobState::assigned:
        case JobState::running:
            stop_lease(tx, *job.lease, EndReason::cancelled_by_renter, tx.state().rules().stop_grace);
            break;
    }
    return Outcome(tx.state().at<Job>(command.job));
}

}  // namespace fallow::market
