// How the hosts of a gang tell each other the ends of its private network, through the desired state.
#include "api/gang_members.hpp"
#include "api/job_decode.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

Status check_epoch(const market::Lease& lease, std::int64_t epoch) {
    if (lease.epoch == epoch) return Done{};
    return refuse(
        ErrorCode::stale_epoch,
        "The lease has epoch " + std::to_string(lease.epoch) + ", not " + std::to_string(epoch) + ".",
        "/lease_epoch");
}

/// It is getting ready for a job that has such a network.
Status check_waits(JobCall& call, const market::Lease& lease) {
    const auto wrong = [](const char* why) { return refuse(ErrorCode::wrong_state, why); };
    if (!lease.is_member() || !lease.job)
        return wrong("The lease is not one of several of an order with a job.");
    const auto row = find_row<market::JobSpec>(call.tx, *lease.job, "job_id");
    if (!row) return row.error();
    const auto spec = decode_job_spec(row->document);
    if (!spec) return spec.error();
    if (spec->network != JobNetwork::gang) return wrong("The lease's job has no network of its own.");
    if (lease.state != market::LeaseState::preparing)
        return wrong(
            "Tell it while the lease is preparing: after it was reported accepted, and before it "
            "runs.");
    return Done{};
}

/// What was told stays: the others may have started with it.
Result<bool> was_told(JobCall& call, const market::Lease& lease, const ToldGangMember& told) {
    const auto rows =
        call.tx.query("SELECT public_key, endpoint FROM gang_members WHERE lease_id = $1", lease.id);
    if (rows.empty()) return false;
    if (store::read_cell<std::string>(rows[0][0]) == told.public_key &&
        store::read_cell<std::string>(rows[0][1]) == told.endpoint)
        return true;
    return refuse(ErrorCode::wrong_state,
                  "Another key or endpoint was told for the lease, and stays: end the lease instead.");
}

/// Hosts of the gang that wait already.
void publish_to_others(JobCall& call, const market::Lease& lease) {
    for (const auto& row :
         call.tx.query("SELECT DISTINCT host_id FROM gang_members WHERE order_id = $1", lease.order))
        call.publish.push_back("host/" + store::read_cell<HostId>(row[0]).text());
}

Result<http::Reply> put_network(JobCall& call) {
    const auto told = decode_gang_member(call.request().body);
    if (!told) return told.error();
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    const auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    if (const Status good = check_epoch(*lease, told->lease_epoch); !good) return good.error();
    const auto known = was_told(call, *lease, *told);
    if (!known) return known.error();
    if (*known) return no_content();
    if (const Status good = check_waits(call, *lease); !good) return good.error();
    call.tx.query(
        "INSERT INTO gang_members (lease_id, order_id, rank, organization_id, host_id, public_key, "
        "endpoint, told_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        lease->id, lease->order, lease->rank, lease->renter, lease->host, told->public_key, told->endpoint,
        call.services.now());
    publish_to_others(call, *lease);
    return no_content();
}

}  // namespace

void add_gang_routes(std::vector<Route>& routes) {
    routes.push_back({put, "/v1/agent/leases/{lease}/network", Access::agent(), small_json, not_keyed,
                      JobHandler{put_network}});
}

}  // namespace fallow::api
