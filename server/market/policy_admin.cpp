// What the operator does with the jurisdiction policy: versions and approvals.
#include <fmt/format.h>

#include "base/limits.hpp"
#include "market/handlers.hpp"
#include "market/matching.hpp"

namespace fallow::market {

Result<Outcome> handle(Transaction& tx, const SetPolicy& command) {
    const std::int64_t newest = tx.state().policy().version;
    if (command.replaces != newest)
        return refuse(ErrorCode::precondition_failed,
                      fmt::format("The policy has version {} now: read it again.", newest),
                      "/replaces_version");
    if (const auto rules = parse_policy(command.text); !rules) return rules.error();

    const Policy policy{newest + 1, command.text, tx.context().caller.name, tx.now()};
    tx.insert(policy, "policy.set");
    match_standing_orders(tx);
    return Outcome(policy);
}

Result<Outcome> handle(Transaction& tx, const CreateApproval& command) {
    const State& state = tx.state();
    if (state.find<Organization>(command.organization) == nullptr ||
        command.organization == platform_organization)
        return refuse(ErrorCode::not_found,
                      fmt::format("There is no {} here.", command.organization.text()), "/organization_id");
    if (find_model(command.model) == nullptr)
        return refuse(ErrorCode::invalid_field,
                      "The catalog has no such model; GET /v1/catalog lists them.", "/model");
    if (state.is_approved(command.organization, command.model))
        return refuse(ErrorCode::wrong_state, "The organization is approved for the model already.",
                      "/model");
    if (state.table<PolicyApproval>().size() >= limits::policy_approvals_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("There are {} approvals: remove some.", limits::policy_approvals_max));

    const PolicyApproval approval{tx.make_id<ApprovalId>(),
                                  command.organization,
                                  command.model,
                                  command.note,
                                  tx.context().caller.name,
                                  tx.now()};
    tx.insert(approval, "approval.created");
    match_standing_orders(tx);
    return Outcome(approval);
}

Result<Outcome> handle(Transaction& tx, const RemoveApproval& command) {
    const PolicyApproval* row = tx.state().find<PolicyApproval>(command.approval);
    if (row == nullptr)
        return refuse(ErrorCode::not_found, fmt::format("There is no {} here.", command.approval.text()));

    tx.remove(PolicyApproval(*row), "approval.removed");
    return Outcome(Done{});
}

Result<Outcome> handle(Transaction& tx, const ApproveOrder& command) {
    const auto found = visible(tx, command.order);
    if (!found) return found.error();
    Order order = **found;
    if (order.state != OrderState::standing || order.approved)
        return refuse(ErrorCode::wrong_state,
                      order.approved ? std::string("The order is approved already.")
                                     : fmt::format("The order is {}: only a standing one can be approved.",
                                                   name_of(order.state)));

    order.approved = true;
    tx.update(std::move(order), "order.approved");
    match_standing_orders(tx);
    return Outcome(tx.state().at<Order>(command.order));
}

}  // namespace fallow::market
