// Bodies of the operator's routes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "market/catalog.hpp"
#include "market/commands.hpp"

namespace fallow::api {

[[nodiscard]] Result<market::CreateOrganization> decode_organization(std::string_view body);
[[nodiscard]] Result<market::Deposit> decode_deposit(std::string_view body);
[[nodiscard]] Result<market::Withdraw> decode_withdrawal(std::string_view body);
[[nodiscard]] Result<market::SetFee> decode_fee(std::string_view body);
[[nodiscard]] Result<market::SetSpotStep> decode_spot_step(std::string_view body);
/// The target's form is checked by its kind: an id, the market's name or an image reference.
[[nodiscard]] Result<market::CreateFreeze> decode_freeze(std::string_view body);
[[nodiscard]] Result<market::SetPolicy> decode_policy(std::string_view body);
/// A policy that nobody has set, and the case that it is asked about. What is left out is a card that the
/// catalog does not know, a GPU, the host's country for the owner, and no end use.
struct PolicyDraft {
    std::string text;
    const market::CardModel* model = nullptr;
    market::DeviceClass device_class = market::DeviceClass::gpu;
    std::string host_country;
    std::string owner_country;
    std::string renter_country;
    std::optional<market::EndUse> end_use;
};
[[nodiscard]] Result<PolicyDraft> decode_policy_draft(std::string_view body);
[[nodiscard]] Result<market::CreateApproval> decode_approval(std::string_view body);

}  // namespace fallow::api
