// Telemetry: a host tells what its leases use of its cards; the renter, the host's seller and the operator
// read it. Nobody else learns that there is such a lease.
#include <algorithm>

#include "api/queries.hpp"
#include "api/reply.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/telemetry_decode.hpp"
#include "api/telemetry_json.hpp"
#include "store/telemetry.hpp"

namespace fallow::api {
namespace {

using enum http::Method;
using accounts::CardUse;
using accounts::MeasuredSpan;

/// Nothing before it ran.
std::optional<MeasuredSpan> measured_span(const market::Lease& lease, Time now) {
    if (!lease.running_at) return std::nullopt;
    return MeasuredSpan{*lease.running_at, lease.ended_at.value_or(now)};
}

Result<http::Reply> put_telemetry(JobCall& call) {
    auto cards = decode_telemetry(call.request().body);
    if (!cards) return cards.error();
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    const auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    const Time now = call.services.now();
    const auto span = measured_span(*lease, now);
    if (!span) return refuse(ErrorCode::wrong_state, "The lease has not run yet: there is nothing of it.");
    if (const Status good = accounts::check_telemetry(*cards, lease->cards, *span, now); !good)
        return good.error();
    for (accounts::CardTelemetry& given : cards.value()) {
        given.card.lease = lease->id;
        given.card.renter = lease->renter;
        given.card.seller = lease->seller;
        given.card.job = lease->job;
        for (accounts::MeasuredMinute& minute : given.minutes) {
            minute.lease = lease->id;
            minute.card = given.card.card;
            minute.renter = lease->renter;
            minute.seller = lease->seller;
        }
    }
    store::TelemetryStore(call.tx).put(*cards);
    return no_content();
}

/// What is kept of the lease's time, or less if so much is asked for.
Result<MeasuredSpan> asked_span(const JobCall& call, const market::Lease& lease) {
    const Time now = call.services.now();
    MeasuredSpan span = measured_span(lease, now).value_or(MeasuredSpan{now, now});
    const auto history = query_integer(call.request(), "history_ms", accounts::telemetry_kept.count,
                                       accounts::telemetry_step.count, accounts::telemetry_kept.count);
    if (!history) return history.error();
    const Millis most =
        std::min(Millis(*history), accounts::telemetry_history_max(std::ssize(lease.cards)));
    span.from =
        accounts::minute_of(std::max({span.from, span.until - most, now - accounts::telemetry_kept}));
    span.until = std::max(span.from, span.until);
    return span;
}

accounts::Efficiency efficiency_of(const std::vector<accounts::CardSummary>& cards,
                                   const market::Lease& lease, const MeasuredSpan& span) {
    const Millis running = std::min(lease.meter.running, span.until - span.from);
    std::vector<CardUse> uses;
    for (const accounts::CardSummary& card : cards)
        uses.push_back({card, lease.thousandths_of_each(), running});
    return accounts::efficiency_of(uses);
}

Result<http::Reply> lease_telemetry(JobCall& call, const market::Lease& lease, std::string role) {
    if (const Status good = check_query(call.request(), {"history_ms", "points"}); !good)
        return good.error();
    const auto span = asked_span(call, lease);
    if (!span) return span.error();
    const auto points = query_integer(call.request(), "points", accounts::telemetry_points_default, 1,
                                      accounts::telemetry_points_max);
    if (!points) return points.error();
    store::TelemetryStore telemetry(call.tx);
    LeaseTelemetry reply{lease, std::move(role), *span, {}, {}, {}, {}};
    reply.cards = telemetry.summaries(lease.id, span->from);
    reply.step = accounts::telemetry_step_for(*span, *points, std::ssize(reply.cards));
    reply.steps = telemetry.steps(lease.id, span->from, reply.step);
    reply.efficiency = efficiency_of(reply.cards, lease, *span);
    return json_reply(to_json(reply));
}

Result<http::Reply> get_lease_telemetry(JobCall& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    const auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    return lease_telemetry(call, *lease, lease->renter == call.actor().organization ? "renter" : "seller");
}

Result<http::Reply> get_any_lease_telemetry(JobCall& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    const auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    return lease_telemetry(call, *lease, "admin");
}

/// Over all leases that the job was on and that were measured.
Result<http::Reply> get_job_efficiency(JobCall& call) {
    const auto id = call.id<JobId>("job");
    if (!id) return id.error();
    if (const auto job = find_row<market::Job>(call.tx, *id); !job) return job.error();
    if (const Status good = check_query(call.request(), {}); !good) return good.error();
    std::optional<market::Lease> lease;  // of the card before: they come lease by lease
    std::vector<CardUse> uses;
    store::TelemetryStore telemetry(call.tx);
    const Millis history = accounts::telemetry_history_max(telemetry.cards_of(*id));
    for (accounts::CardSummary& card : telemetry.summaries(*id, call.services.now() - history)) {
        if (!lease || lease->id != card.card.lease) {
            auto found = find_row<market::Lease>(call.tx, card.card.lease);
            if (!found) return found.error();
            lease = std::move(*found);
        }
        uses.push_back(
            {std::move(card), lease->thousandths_of_each(), std::min(lease->meter.running, history)});
    }
    return json_reply(to_json(*id, accounts::efficiency_of(uses)));
}

}  // namespace

void add_telemetry_routes(std::vector<Route>& routes) {
    routes.push_back({post, "/v1/agent/leases/{lease}/telemetry", Access::agent(), large_json, not_keyed,
                      JobHandler{put_telemetry}});
    routes.push_back({get, "/v1/leases/{lease}/telemetry", reads_as_either(), no_body, not_keyed,
                      JobHandler{get_lease_telemetry}});
    routes.push_back({get, "/v1/admin/leases/{lease}/telemetry", administers(), no_body, not_keyed,
                      JobHandler{get_any_lease_telemetry, JobHandler::As::admin}});
    routes.push_back({get, "/v1/jobs/{job}/efficiency", reads_as_renter(), no_body, not_keyed,
                      JobHandler{get_job_efficiency}});
}

}  // namespace fallow::api
