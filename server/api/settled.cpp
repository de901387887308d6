#include "api/settled.hpp"

#include <fmt/format.h>

#include "api/queries.hpp"

namespace fallow::api {
namespace {

std::string_view words_for(market::LeaseState) {
    return "has ended";
}
template <class State>
std::string words_for(State state) {
    return fmt::format("is {} already", name_of(state));
}

template <class Row, class AnyId, class State>
Status require_state_other_than(JobCall& call, std::string_view parameter,
                                std::initializer_list<State> settled) {
    const auto id = call.id<AnyId>(parameter);
    if (!id) return id.error();
    const auto row = find_row<Row>(call.tx, *id);
    if (!row) return row.error();
    for (const State state : settled)
        if (row->state == state)
            return refuse(ErrorCode::wrong_state,
                          fmt::format("The {} {}.", AnyId::prefix, words_for(state)));
    return Done{};
}

}  // namespace

Result<std::string> require_standing_order(JobCall& call, market::Command&) {
    using enum market::OrderState;
    const Status good = require_state_other_than<market::Order, OrderId>(
        call, "order", {filled, cancelled, expired, rejected});
    if (!good) return good.error();
    return std::string();
}

Result<std::string> require_live_bid(JobCall& call, market::Command&) {
    using enum market::OrderState;
    const Status good =
        require_state_other_than<market::Order, OrderId>(call, "order", {cancelled, expired, rejected});
    if (!good) return good.error();
    const auto order = find_row<market::Order>(call.tx, *call.id<OrderId>("order"));
    if (!order) return order.error();
    if (!order->lease) return std::string();
    const auto lease = find_row<market::Lease>(call.tx, *order->lease);
    if (!lease) return lease.error();
    if (lease->state == market::LeaseState::ended)
        return refuse(ErrorCode::wrong_state, "The order's lease has ended: place a new order.");
    return std::string();
}

Result<std::string> require_booked_reservation(JobCall& call, market::Command&) {
    using enum market::ReservationState;
    const Status good = require_state_other_than<market::Reservation, ReservationId>(
        call, "reservation", {ended, cancelled, broken, failed, sold});
    if (!good) return good.error();
    return std::string();
}

Result<std::string> require_live_lease(JobCall& call, market::Command&) {
    const Status good =
        require_state_other_than<market::Lease, LeaseId>(call, "lease", {market::LeaseState::ended});
    if (!good) return good.error();
    return std::string();
}

Result<std::string> require_live_lease_for_job(JobCall& call, market::Command& command) {
    const auto live = require_live_lease(call, command);
    if (!live) return live.error();
    return std::get<market::AttachJob>(command).job.document;
}

Result<std::string> require_offered_listing(JobCall& call, market::Command&) {
    const Status good = require_state_other_than<market::Listing, ListingId>(
        call, "listing", {market::ListingState::withdrawn});
    if (!good) return good.error();
    return std::string();
}

Result<std::string> require_live_job(JobCall& call, market::Command&) {
    using enum market::JobState;
    const Status good =
        require_state_other_than<market::Job, JobId>(call, "job", {succeeded, failed, cancelled});
    if (!good) return good.error();
    auto spec = find_row<market::JobSpec>(call.tx, *call.id<JobId>("job"), "job_id");
    if (!spec) return spec.error();
    return std::move(spec->document);
}

}  // namespace fallow::api
