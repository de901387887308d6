// The routes of administrators.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {

Organization Client::create_organization(const NewOrganization& organization, const CallOptions& options) {
    return from_json<Organization>(
        caller_->post("/v1/admin/organizations", to_request_json(organization), options));
}

Page<Organization> Client::organizations(const PageRequest& page) {
    return page_from_json<Organization>(caller_->get("/v1/admin/organizations" + page_query(page)).body);
}

KeySecret Client::create_organization_key(std::string_view organization_id, const NewKey& key,
                                          const CallOptions& options) {
    return from_json<KeySecret>(caller_->post(route("/v1/admin/organizations/{}/keys", organization_id),
                                              to_request_json(key), options));
}

Transfer Client::deposit(const NewDeposit& deposit, const CallOptions& options) {
    return from_json<Transfer>(caller_->post("/v1/admin/deposits", to_request_json(deposit), options));
}

Transfer Client::withdraw(const NewWithdrawal& withdrawal, const CallOptions& options) {
    return from_json<Transfer>(
        caller_->post("/v1/admin/withdrawals", to_request_json(withdrawal), options));
}

LedgerProof Client::ledger() {
    return from_json<LedgerProof>(caller_->get("/v1/admin/ledger").body);
}

Fee Client::fee() {
    return from_json<Fee>(caller_->get("/v1/admin/fee").body);
}

Fee Client::set_fee(const Fee& fee) {
    return from_json<Fee>(caller_->put("/v1/admin/fee", to_request_json(fee), "application/json"));
}

SpotStep Client::spot_step() {
    return from_json<SpotStep>(caller_->get("/v1/admin/spot").body);
}

SpotStep Client::set_spot_step(const SpotStep& step) {
    return from_json<SpotStep>(caller_->put("/v1/admin/spot", to_request_json(step), "application/json"));
}

SchedulerState Client::scheduler() {
    return from_json<SchedulerState>(caller_->get("/v1/admin/scheduler").body);
}

Freeze Client::create_freeze(const NewFreeze& freeze, const CallOptions& options) {
    return from_json<Freeze>(caller_->post("/v1/admin/freezes", to_request_json(freeze), options));
}

Page<Freeze> Client::freezes(const PageRequest& page) {
    return page_from_json<Freeze>(caller_->get("/v1/admin/freezes" + page_query(page)).body);
}

void Client::remove_freeze(std::string_view freeze_id) {
    caller_->remove(route("/v1/admin/freezes/{}", freeze_id));
}

Page<Event> Client::audit(const PageRequest& page) {
    return page_from_json<Event>(caller_->get("/v1/admin/audit" + page_query(page)).body);
}

}  // namespace fallow::sdk
