// The jurisdiction policy: its text for every key, and what the operator does with it.
#include <fmt/format.h>

#include "api/admin_decode.hpp"
#include "api/json_writer.hpp"
#include "api/market_json.hpp"
#include "api/outcomes.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "market/jurisdiction.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

constexpr std::string_view policies_tag = "policies";
/// Every byte of the text may be escaped.
constexpr Body policy_json{Body::Type::json, 4 * limits::policy_text_bytes_max};

Result<Decoded> decode_set_policy(const Call& call) {
    auto made = decode_policy(call.request().body);
    if (!made) return made.error();
    return command(std::move(*made));
}

Result<Decoded> decode_create_approval(const Call& call) {
    auto made = decode_approval(call.request().body);
    if (!made) return made.error();
    return command(std::move(*made));
}

Result<Decoded> decode_remove_approval(const Call& call) {
    const auto id = call.id<ApprovalId>("approval");
    if (!id) return id.error();
    return plain_command(call, market::RemoveApproval{*id});
}

Result<Decoded> decode_approve_order(const Call& call) {
    const auto id = call.id<OrderId>("order");
    if (!id) return id.error();
    return plain_command(call, market::ApproveOrder{*id});
}

market::Policy built_in_policy() {
    return {0, std::string(market::default_policy_text()), "fallow", Time(0)};
}

/// The version asked for, or the newest.
Result<market::Policy> read_policy(JobCall& call) {
    const auto version = query_integer(call.request(), "version", -1, 0, INT64_MAX);
    if (!version) return version.error();
    const std::string select = "SELECT " + store::select_list<market::Policy>() + " FROM policies ";
    const auto rows = store::read_all<market::Policy>(call.tx.query(
        select + "WHERE $1::bigint < 0 OR version = $1::bigint ORDER BY version DESC LIMIT 1", *version));
    if (!rows.empty()) return rows.front();
    if (*version > 0) return refuse(ErrorCode::not_found, "The policy has no such version.");
    return built_in_policy();
}

Result<http::Reply> get_policy(JobCall& call) {
    if (const Status good = check_query(call.request(), {"version"}); !good) return good.error();
    const auto policy = read_policy(call);
    if (!policy) return policy.error();
    return json_reply(to_json(*policy));
}

Result<http::Reply> list_policies(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), policies_tag, 1);
    if (!page) return page.error();
    const std::int64_t before = page->after ? page->after->numbers[0] : INT64_MAX;
    const auto rows = store::read_all<market::Policy>(call.tx.query(
        "SELECT " + store::select_list<market::Policy>() +
            " FROM policies WHERE version < $1::bigint ORDER BY version DESC LIMIT $2::bigint",
        before, page->limit + 1));
    return list_reply(
        rows, page->limit, policies_tag,
        [](JsonWriter& json, const market::Policy& policy) {
            json.begin_object()
                .field("created_by", policy.created_by)
                .field("created_at", policy.created_at)
                .field("version", policy.version)
                .end_object();
        },
        [](const market::Policy& policy) {
            return CursorKey{{policy.version}, RawId{}};
        });
}

/// A case out of a query. Countries are checked in form; what is left out is the host's country for the
/// owner, and no end use.
class CaseReader {
  public:
    explicit CaseReader(const http::Request& request) : request_(request) {}

    std::string country(std::string_view name, const std::string& otherwise) {
        const std::string* value = request_.query_value(name);
        if (value == nullptr && !otherwise.empty()) return otherwise;
        if (value != nullptr && market::CountrySet::is_code(*value)) return *value;
        fail(name, "Give a country as two capital letters (ISO 3166-1 alpha-2), like DE.");
        return "AA";
    }
    template <NamedEnum E>
    std::optional<E> named(std::string_view name) {
        const std::string* value = request_.query_value(name);
        if (value == nullptr) return std::nullopt;
        const auto found = parse_enum<E>(*value);
        if (!found) fail(name, fmt::format("Give one of: {}.", all_names<E>()));
        return found;
    }
    const market::CardModel* model() {
        const std::string* value = request_.query_value("model");
        if (value == nullptr) return nullptr;
        const market::CardModel* found = market::find_model(*value);
        if (found == nullptr) fail("model", "The catalog has no such model; GET /v1/catalog lists them.");
        return found;
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  private:
    void fail(std::string_view name, std::string detail) {
        if (!error_)
            error_ = refuse(ErrorCode::invalid_field, std::move(detail), fmt::format("query:{}", name));
    }
    const http::Request& request_;
    std::optional<Error> error_;
};

/// `version` is nothing for a draft.
http::Reply verdict_reply(std::optional<std::int64_t> version, const market::PolicyRules& rules,
                          const market::PolicyCase& facts) {
    const market::PolicyRule* rule = market::deciding_rule(rules, facts);
    const market::CardModel* model = facts.model;
    JsonWriter json;
    json.begin_object()
        .field("effect", rule != nullptr ? rule->effect : market::PolicyEffect::allow)
        .field("rule", rule != nullptr ? std::optional(rule->name) : std::nullopt)
        .field("reason", rule != nullptr ? std::optional(rule->reason) : std::nullopt)
        .field("model", model != nullptr ? std::optional(model->model) : std::nullopt)
        .field("tpp", model != nullptr ? std::optional(model->tpp) : std::nullopt)
        .field("performance_density_milli", model != nullptr ? model->density_milli() : std::nullopt)
        .field("version", version)
        .end_object();
    return json_reply(json.take());
}

Result<http::Reply> test_policy(JobCall& call) {
    const Status good = check_query(call.request(), {"version", "model", "device_class", "host_country",
                                                     "owner_country", "renter_country", "end_use"});
    if (!good) return good.error();
    CaseReader reader(call.request());
    market::PolicyCase facts;
    facts.model = reader.model();
    facts.device = reader.named<market::DeviceClass>("device_class").value_or(market::DeviceClass::gpu);
    facts.end_use = reader.named<market::EndUse>("end_use");
    const auto policy = read_policy(call);
    if (!policy) return policy.error();
    const std::string host = reader.country("host_country", {});
    const std::string owner = reader.country("owner_country", host);
    const std::string renter = reader.country("renter_country", {});
    facts.host_country = host;
    facts.owner_country = owner;
    facts.renter_country = renter;
    if (reader.error()) return *reader.error();
    const auto rules = market::parse_policy(policy->text);
    if (!rules) return rules.error();
    return verdict_reply(policy->version, *rules, facts);
}

Result<http::Reply> test_draft(JobCall& call) {
    const auto draft = decode_policy_draft(call.request().body);
    if (!draft) return draft.error();
    const auto rules = market::parse_policy(draft->text);
    if (!rules) return rules.error();
    return verdict_reply(std::nullopt, *rules,
                         {draft->model, draft->device_class, draft->host_country, draft->owner_country,
                          draft->renter_country, draft->end_use});
}

Result<http::Reply> list_approvals(JobCall& call) {
    return newest_page<market::PolicyApproval>(
        call, "approvals", "", {}, "created_at", &market::PolicyApproval::created_at,
        [](JsonWriter& json, const market::PolicyApproval& row) { write(json, row); });
}

}  // namespace

void add_policy_routes(std::vector<Route>& routes) {
    const auto admin = administers();
    const auto as_admin = JobHandler::As::admin;
    routes.push_back(
        {get, "/v1/policy", Access::any_key(), no_body, not_keyed, JobHandler{get_policy, as_admin}});
    routes.push_back({put, "/v1/admin/policy", admin, policy_json, not_keyed,
                      CommandHandler{decode_set_policy, encode_policy}});
    routes.push_back(
        {get, "/v1/admin/policy/versions", admin, no_body, not_keyed, JobHandler{list_policies, as_admin}});
    routes.push_back(
        {get, "/v1/admin/policy/test", admin, no_body, not_keyed, JobHandler{test_policy, as_admin}});
    routes.push_back(
        {post, "/v1/admin/policy/test", admin, policy_json, keyed, JobHandler{test_draft, as_admin}});
    routes.push_back({post, "/v1/admin/approvals", admin, small_json, keyed,
                      CommandHandler{decode_create_approval, encode_approval, 201}});
    routes.push_back(
        {get, "/v1/admin/approvals", admin, no_body, not_keyed, JobHandler{list_approvals, as_admin}});
    routes.push_back({del, "/v1/admin/approvals/{approval}", admin, no_body, not_keyed,
                      CommandHandler{decode_remove_approval, encode_nothing, 204}});
    routes.push_back({post, "/v1/admin/orders/{order}/approve", admin, small_json, keyed,
                      CommandHandler{decode_approve_order, encode_order}});
}

}  // namespace fallow::api
