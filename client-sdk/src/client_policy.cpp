// The jurisdiction policy and the operator's approvals.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {

Policy Client::policy() {
    return from_json<Policy>(caller_->get("/v1/policy").body);
}

Policy Client::set_policy(const NewPolicy& policy) {
    return from_json<Policy>(caller_->put("/v1/admin/policy", to_request_json(policy), "application/json"));
}

PolicyVerdict Client::test_policy(const PolicyCase& facts) {
    const std::string query = query_string({{"model", facts.model.value_or("")},
                                            {"device_class", facts.device_class.value_or("")},
                                            {"host_country", facts.host_country},
                                            {"owner_country", facts.owner_country.value_or("")},
                                            {"renter_country", facts.renter_country},
                                            {"end_use", facts.end_use.value_or("")}});
    return from_json<PolicyVerdict>(caller_->get("/v1/admin/policy/test" + query).body);
}

PolicyVerdict Client::test_policy(const PolicyDraft& draft) {
    return from_json<PolicyVerdict>(caller_->post("/v1/admin/policy/test", to_request_json(draft), {}));
}

Approval Client::create_approval(const NewApproval& approval, const CallOptions& options) {
    return from_json<Approval>(caller_->post("/v1/admin/approvals", to_request_json(approval), options));
}

Page<Approval> Client::approvals(const PageRequest& page) {
    return page_from_json<Approval>(caller_->get("/v1/admin/approvals" + page_query(page)).body);
}

void Client::remove_approval(std::string_view approval_id) {
    caller_->remove(route("/v1/admin/approvals/{}", approval_id));
}

Order Client::approve_order(std::string_view order_id, const CallOptions& options) {
    return from_json<Order>(
        caller_->post(route("/v1/admin/orders/{}/approve", order_id), std::string(empty_object), options));
}

}  // namespace fallow::sdk
