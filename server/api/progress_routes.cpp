// A host tells how far it is with what it moves for a lease. The renter reads it with the job.
#include "api/lease_progress.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "store/lease_progress.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

Result<http::Reply> put_progress(JobCall& call) {
    auto told = decode_progress(call.request().body);
    if (!told) return told.error();
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    const auto lease = find_row<market::Lease>(call.tx, *id);
    if (!lease) return lease.error();
    if (lease->state == market::LeaseState::ended)
        return refuse(ErrorCode::wrong_state, "The lease has ended: nothing is moved for it any more.");
    told->lease = lease->id;
    told->renter = lease->renter;
    told->at = call.services.now();
    store::put_progress(call.tx, *told);
    return no_content();
}

}  // namespace

void add_progress_routes(std::vector<Route>& routes) {
    routes.push_back({put, "/v1/agent/leases/{lease}/progress", Access::agent(), small_json, not_keyed,
                      JobHandler{put_progress}});
}

}  // namespace fallow::api
