// What renters call: orders and leases. Leases are read by sellers too.
#include <fmt/format.h>

#include "api/job_decode.hpp"
#include "api/market_json.hpp"
#include "api/orders_decode.hpp"
#include "api/outcomes.hpp"
#include "api/queries.hpp"
#include "api/receipt.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/settled.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

/// Inputs stay until the last attempt that may need them can have begun.
Time needed_until(Time now, Millis waits, const market::JobRequest& job) {
    Time until = now + waits;
    for (std::int32_t attempt = 0; attempt < job.attempts_max; ++attempt)
        until = until + job.max_duration;
    return until;
}

Result<Decoded> decode_make_quote(const Call& call) {
    const auto wanted = decode_quote_request(call.request().body);
    if (!wanted) return wanted.error();
    return command(*wanted);
}

Result<Decoded> decode_place_order(const Call& call) {
    auto order = decode_order(call.request().body, call.services.signing_key);
    if (!order) return order.error();
    Decoded decoded;
    if (!order->inputs.empty())
        decoded.inputs_needed_until =
            needed_until(call.services.now(), order->command.expires_in, *order->command.job);
    decoded.inputs = std::move(order->inputs);
    decoded.secrets = std::move(order->secrets);
    decoded.registry_secret = std::move(order->registry_secret);
    decoded.inputs_pointer = "/job";
    decoded.command = std::move(order->command);
    return decoded;
}

Result<Decoded> decode_attach_job(const Call& call) {
    const auto lease = call.id<LeaseId>("lease");
    if (!lease) return lease.error();
    const auto spec = decode_job_spec(call.request().body);
    if (!spec) return spec.error();
    if (spec->network)
        return refuse(ErrorCode::invalid_field,
                      "A network among a job's containers is had with an order over several hosts that "
                      "brings the job.",
                      "/network");
    Decoded decoded;
    market::JobRequest job = job_request(*spec);
    decoded.inputs = artifacts_of(*spec);
    decoded.secrets = spec->secrets;
    decoded.registry_secret = spec->registry_secret;
    decoded.inputs_needed_until = needed_until(call.services.now(), Millis(), job);
    decoded.command = market::AttachJob{*lease, std::move(job)};
    return decoded;
}

Result<Decoded> decode_cancel_order(const Call& call) {
    const auto id = call.id<OrderId>("order");
    if (!id) return id.error();
    return plain_command(call, market::CancelOrder{*id});
}

Result<Decoded> decode_end_lease(const Call& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    return plain_command(call, market::EndLease{*id});
}

Result<http::Reply> list_orders(JobCall& call) {
    return newest_page<market::Order>(
        call, "orders", "organization_id = $1", {store::parameter_of(call.actor().organization)},
        "placed_at", &market::Order::placed_at,
        [](JsonWriter& json, const market::Order& order) { write(json, order); });
}

Result<http::Reply> get_order(JobCall& call) {
    const auto id = call.id<OrderId>("order");
    if (!id) return id.error();
    const auto order = find_row<market::Order>(call.tx, *id);
    if (!order) return order.error();
    return json_reply(to_json(*order));
}

/// Renter's and seller's leases have an index each, so the newest of both are merged.
Result<http::Reply> list_leases(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), "leases", 1);
    if (!page) return page.error();
    store::Parameters parameters{store::parameter_of(call.actor().organization)};
    const std::string own = newest_first("organization_id = $1", "allocated_at", *page, parameters);
    const std::string rented =
        newest_first("seller_id = $1 AND organization_id <> $1", "allocated_at", *page, parameters);
    const std::string select = "SELECT " + store::select_list<market::Lease>() + " FROM leases";
    const auto leases = store::read_all<market::Lease>(call.tx.query_with(
        fmt::format("({}{}) UNION ALL ({}{}) ORDER BY allocated_at DESC, id DESC LIMIT ${}::bigint", select,
                    own, select, rented, parameters.size()),
        parameters));
    const OrganizationId viewer = call.actor().organization;
    return list_reply(
        leases, page->limit, "leases",
        [&](JsonWriter& json, const market::Lease& lease) { write(json, lease, viewer); },
        [](const market::Lease& lease) {
            return CursorKey{{lease.allocated_at.ms}, lease.id.raw};
        });
}

Result<market::Lease> own_lease(JobCall& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    return find_row<market::Lease>(call.tx, *id);
}

Result<http::Reply> get_lease(JobCall& call) {
    const auto lease = own_lease(call);
    if (!lease) return lease.error();
    return json_reply(to_json(*lease, call.actor().organization));
}

Result<http::Reply> get_receipt(JobCall& call) {
    const auto lease = own_lease(call);
    if (!lease) return lease.error();
    if (lease->state != market::LeaseState::ended)
        return refuse(ErrorCode::wrong_state, "A receipt exists once the lease has ended.");
    return read_receipt(call.tx, *lease);
}

Result<http::Reply> list_usage(JobCall& call) {
    const auto lease = own_lease(call);
    if (!lease) return lease.error();
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), "usage", 1);
    if (!page) return page.error();
    const std::int64_t after = page->after ? page->after->numbers[0] : -1;
    const auto rows = store::read_all<market::Usage>(
        call.tx.query("SELECT " + store::select_list<market::Usage>() +
                          " FROM usage_statements WHERE lease_id = $1 AND sequence > $2::bigint "
                          "ORDER BY sequence LIMIT $3::bigint",
                      lease->id, after, page->limit + 1));
    return list_reply(
        rows, page->limit, "usage",
        [](JsonWriter& json, const market::Usage& usage) { write(json, usage); },
        [](const market::Usage& usage) {
            return CursorKey{{usage.sequence}, usage.lease.raw};
        });
}

}  // namespace

void add_renter_routes(std::vector<Route>& routes) {
    const auto reads = reads_as_renter();
    const auto writes = writes_as_renter();
    const auto both = reads_as_either();
    routes.push_back({post, "/v1/quotes", writes, small_json, keyed,
                      CommandHandler{decode_make_quote, encode_quote, 201}});
    routes.push_back({post, "/v1/orders", writes, job_json, keyed,
                      CommandHandler{decode_place_order, encode_order_placed, 201}});
    routes.push_back({get, "/v1/orders", reads, no_body, not_keyed, JobHandler{list_orders}});
    routes.push_back({get, "/v1/orders/{order}", reads, no_body, not_keyed, JobHandler{get_order}});
    routes.push_back({post, "/v1/orders/{order}/cancel", writes, small_json, keyed,
                      CommandHandler{decode_cancel_order, encode_order, 200, require_standing_order}});
    routes.push_back({get, "/v1/leases", both, no_body, not_keyed, JobHandler{list_leases}});
    routes.push_back({get, "/v1/leases/{lease}", both, no_body, not_keyed, JobHandler{get_lease}});
    routes.push_back({post, "/v1/leases/{lease}/end", writes, small_json, keyed,
                      CommandHandler{decode_end_lease, encode_lease, 200, require_live_lease}});
    routes.push_back({post, "/v1/leases/{lease}/job", writes, job_json, keyed,
                      CommandHandler{decode_attach_job, encode_job, 201, require_live_lease_for_job}});
    routes.push_back(
        {get, "/v1/leases/{lease}/receipt", both, no_body, not_keyed, JobHandler{get_receipt}});
    routes.push_back({get, "/v1/leases/{lease}/usage", both, no_body, not_keyed, JobHandler{list_usage}});
}

}  // namespace fallow::api
