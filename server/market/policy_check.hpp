// The jurisdiction policy inside a decision: what it says of an order and a card, and whether it alone
// keeps an order from what there is.
#pragma once

#include <optional>

#include "market/eligibility.hpp"
#include "market/jurisdiction.hpp"

namespace fallow::market {

struct PolicyDecision {
    std::int64_t version = 0;
    const PolicyRule* rule = nullptr;  ///< of the state's policy; nullptr where none applies
    bool is_allowed = true;            ///< an approval counted in
};

[[nodiscard]] PolicyDecision policy_decision(const Pairing& pairing, const Card& card);
[[nodiscard]] bool is_allowed_by_policy(const Pairing& pairing, const Card& card);

/// For an order without a match: what the policy said of the first listing, in the order of service, that
/// would serve it but for the policy. `image` is that of a job which is not in the state yet.
[[nodiscard]] std::optional<PolicyDecision> policy_obstacle(const State& state, const Order& order,
                                                            Time now, const std::string* image);

}  // namespace fallow::market
