#include "market/policy_check.hpp"

#include "market/matching.hpp"

namespace fallow::market {
namespace {

/// Nothing for an organization that is not there, as of a query that nobody has placed: no country fits it.
std::string_view country_of(const State& state, OrganizationId id) {
    const Organization* row = state.find<Organization>(id);
    return row == nullptr ? std::string_view() : row->country;
}

bool is_approved(const Pairing& pairing, const CardModel* model) {
    return pairing.order.approved ||
           (model != nullptr && pairing.state.is_approved(pairing.order.organization, model->model));
}

/// What the policy said of the first card that only it forbids, if without it the listing would serve the
/// order.
std::optional<PolicyDecision> obstacle_of(const Pairing& pairing) {
    if (refusal(pairing)) return std::nullopt;
    std::optional<PolicyDecision> first;
    std::int32_t fitting = 0;
    for (const auto& [index, id] : pairing.state.free_cards_of(pairing.listing.id)) {
        const Card& card = pairing.state.at<Card>(id);
        const auto refused = refusal(pairing, card);
        if (refused && *refused != Constraint::policy) continue;
        ++fitting;
        if (refused && !first) first = policy_decision(pairing, card);
    }
    return fitting >= pairing.order.count ? first : std::nullopt;
}

}  // namespace

PolicyDecision policy_decision(const Pairing& pairing, const Card& card) {
    const State& state = pairing.state;
    const PolicyInForce policy = state.policy();
    const CardModel* model = model_of(card.product, card.vram_bytes);
    const PolicyCase facts{model,
                           card.device_class,
                           pairing.host.country,
                           country_of(state, pairing.listing.organization),
                           country_of(state, pairing.order.organization),
                           pairing.order.end_use};
    const PolicyRule* rule = deciding_rule(*policy.rules, facts);
    const bool is_allowed = rule == nullptr || rule->effect == PolicyEffect::allow ||
                            (rule->effect == PolicyEffect::needs_approval && is_approved(pairing, model));
    return {policy.version, rule, is_allowed};
}

bool is_allowed_by_policy(const Pairing& pairing, const Card& card) {
    return policy_decision(pairing, card).is_allowed;
}

std::optional<PolicyDecision> policy_obstacle(const State& state, const Order& order, Time now,
                                              const std::string* image) {
    std::optional<PolicyDecision> found;
    each_candidate(state, order, [&](const Listing& listing) {
        found = obstacle_of(pair_up(state, order, listing, now, image));
        return !found;
    });
    return found;
}

}  // namespace fallow::market
