#include "api/admin_decode.hpp"

#include "accounts/keys.hpp"
#include "api/field_decode.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr std::int32_t fee_ppm_max = 500'000;
constexpr TextRule policy_text{
    .bytes_max = limits::policy_text_bytes_max, .may_be_empty = true, .is_multiline = true};

market::CreateOrganization read_organization(FieldReader& reader) {
    market::CreateOrganization organization;
    organization.name = reader.text("name", {.bytes_max = limits::name_bytes_max});
    if (const Status good = accounts::check_name(organization.name); !good && !reader.has_failed())
        reader.fail(good.error().code, "name", good.error().detail);
    organization.country = reader.country("country");
    return organization;
}

ledger::Micros read_amount(FieldReader& reader) {
    return ledger::Micros(reader.integer("amount_micros", 1, limits::amount_micros_max));
}

std::string read_reference(FieldReader& reader) {
    return reader.text("reference", {.bytes_max = limits::text_field_bytes_max});
}

market::Withdraw read_withdrawal(FieldReader& reader) {
    market::Withdraw withdrawal;
    withdrawal.organization = reader.id<OrganizationId>("organization_id");
    withdrawal.account = reader.named<ledger::AccountKind>("account");
    if (withdrawal.account != ledger::AccountKind::available &&
        withdrawal.account != ledger::AccountKind::earned)
        reader.fail(ErrorCode::invalid_field, "account", "Give one of: available, earned.");
    withdrawal.amount = read_amount(reader);
    withdrawal.reference = read_reference(reader);
    return withdrawal;
}

bool is_valid_target(const market::CreateFreeze& freeze) {
    switch (freeze.kind) {
        case market::FreezeKind::organization:
            return OrganizationId::parse(freeze.target).has_value();
        case market::FreezeKind::host:
            return HostId::parse(freeze.target).has_value();
        case market::FreezeKind::market:
        case market::FreezeKind::image:
            return true;
    }
    return false;
}

market::CreateFreeze read_freeze(FieldReader& reader) {
    market::CreateFreeze freeze;
    freeze.kind = reader.named<market::FreezeKind>("kind");
    freeze.target = reader.text("target", {.bytes_max = limits::image_bytes_max});
    if (!reader.has_failed() && !is_valid_target(freeze))
        reader.fail(ErrorCode::invalid_id, "target", "Give the id of the organization or host to freeze.");
    freeze.note =
        reader.optional_text("note", {.bytes_max = limits::text_field_bytes_max, .may_be_empty = true})
            .value_or("");
    return freeze;
}

}  // namespace

Result<market::CreateOrganization> decode_organization(std::string_view body) {
    return decode_body(body, read_organization);
}

Result<market::Deposit> decode_deposit(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        market::Deposit deposit;
        deposit.organization = reader.id<OrganizationId>("organization_id");
        deposit.amount = read_amount(reader);
        deposit.reference = read_reference(reader);
        return deposit;
    });
}

Result<market::Withdraw> decode_withdrawal(std::string_view body) {
    return decode_body(body, read_withdrawal);
}

Result<market::SetFee> decode_fee(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        return market::SetFee{reader.integer32("fee_ppm", 0, fee_ppm_max)};
    });
}

Result<market::SetSpotStep> decode_spot_step(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        return market::SetSpotStep{
            ledger::Price(reader.integer("step_micros_per_hour", 1, limits::price_micros_per_hour_max))};
    });
}

Result<market::CreateFreeze> decode_freeze(std::string_view body) {
    return decode_body(body, read_freeze);
}

Result<market::SetPolicy> decode_policy(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        market::SetPolicy policy;
        policy.replaces = reader.integer("replaces_version", 0, INT64_MAX);
        policy.text = reader.text("text", policy_text);
        return policy;
    });
}

Result<PolicyDraft> decode_policy_draft(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        PolicyDraft draft;
        draft.text = reader.text("text", policy_text);
        if (const auto model = reader.optional_text("model", {.bytes_max = limits::name_bytes_max})) {
            draft.model = market::find_model(*model);
            if (draft.model == nullptr)
                reader.fail(ErrorCode::invalid_field, "model",
                            "The catalog has no such model; GET /v1/catalog lists them.");
        }
        draft.device_class = reader.named_or("device_class", market::DeviceClass::gpu);
        draft.host_country = reader.country("host_country");
        draft.owner_country =
            reader.has("owner_country") ? reader.country("owner_country") : draft.host_country;
        draft.renter_country = reader.country("renter_country");
        draft.end_use = reader.optional_named<market::EndUse>("end_use");
        return draft;
    });
}

Result<market::CreateApproval> decode_approval(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        market::CreateApproval approval;
        approval.organization = reader.id<OrganizationId>("organization_id");
        approval.model = reader.text("model", {.bytes_max = limits::name_bytes_max});
        approval.note =
            reader.optional_text("note", {.bytes_max = limits::text_field_bytes_max, .may_be_empty = true})
                .value_or("");
        return approval;
    });
}

}  // namespace fallow::api
