// What the operator calls. Each route needs the scope admin, and only these act across organizations.
#include "api/admin_decode.hpp"
#include "api/json_writer.hpp"
#include "api/keys.hpp"
#include "api/market_json.hpp"
#include "api/outcomes.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

/// A decoder of a body that is the command.
template <auto decode>
Result<Decoded> body_command(const Call& call) {
    auto made = decode(call.request().body);
    if (!made) return made.error();
    return command(std::move(*made));
}

Result<Decoded> decode_remove_freeze(const Call& call) {
    const auto id = call.id<FreezeId>("freeze");
    if (!id) return id.error();
    return plain_command(call, market::RemoveFreeze{*id});
}

Result<http::Reply> list_organizations(JobCall& call) {
    return newest_page<market::Organization>(
        call, "organizations", "", {}, "created_at", &market::Organization::created_at,
        [](JsonWriter& json, const market::Organization& row) { write(json, row); });
}

Result<http::Reply> create_organization_key(JobCall& call) {
    const auto id = call.id<OrganizationId>("organization");
    if (!id) return id.error();
    if (const auto found = find_row<market::Organization>(call.tx, *id); !found) return found.error();
    return create_key(call, *id, auth::ScopeSet::all());
}

Result<http::Reply> list_freezes(JobCall& call) {
    return newest_page<market::Freeze>(
        call, "freezes", "", {}, "created_at", &market::Freeze::created_at,
        [](JsonWriter& json, const market::Freeze& row) { write(json, row); });
}

Result<http::Reply> get_fee(JobCall& call) {
    const auto rows =
        call.tx.query("SELECT fee_ppm FROM market_settings WHERE market = $1", call.services.config.market);
    if (rows.empty()) return refuse(ErrorCode::not_found, "The market has no settings yet.");
    JsonWriter json;
    json.begin_object().field("fee_ppm", store::read_cell<std::int32_t>(rows[0][0])).end_object();
    return json_reply(json.take());
}

Result<http::Reply> get_spot_step(JobCall& call) {
    const auto rows =
        call.tx.query("SELECT spot_step_micros_per_hour FROM market_settings WHERE market = $1",
                      call.services.config.market);
    if (rows.empty()) return refuse(ErrorCode::not_found, "The market has no settings yet.");
    JsonWriter json;
    json.begin_object()
        .field("step_micros_per_hour", store::read_cell<std::int64_t>(rows[0][0]))
        .end_object();
    return json_reply(json.take());
}

/// The proof over the whole ledger: every account against its transfers, and all of them against zero.
Result<http::Reply> ledger_proof(JobCall& call) {
    const auto totals = call.tx.query(
        "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM transfers), "
        "(SELECT coalesce(sum(balance_micros), 0)::bigint FROM accounts)");
    const auto kinds =
        call.tx.query("SELECT kind, sum(balance_micros)::bigint FROM accounts GROUP BY kind ORDER BY kind");
    const auto wrong = call.tx.query(
        "SELECT accounts.id FROM accounts LEFT JOIN (SELECT account, sum(amount) AS moved FROM ("
        "SELECT debit_account_id AS account, -amount_micros AS amount FROM transfers UNION ALL "
        "SELECT credit_account_id, amount_micros FROM transfers) AS sides GROUP BY account) AS sums "
        "ON sums.account = accounts.id WHERE balance_micros <> coalesce(moved, 0) ORDER BY accounts.id "
        "LIMIT 100");
    const auto sum = store::read_cell<std::int64_t>(totals[0][2]);
    JsonWriter json;
    json.begin_object()
        .field("accounts", store::read_cell<std::int64_t>(totals[0][0]))
        .field("transfers", store::read_cell<std::int64_t>(totals[0][1]))
        .field("sum_micros", sum)
        .field("balanced", sum == 0 && wrong.empty());
    json.key("by_kind").begin_array();
    for (const auto& row : kinds)
        json.begin_object()
            .field("kind", store::read_cell<std::string>(row[0]))
            .field("balance_micros", store::read_cell<std::int64_t>(row[1]))
            .end_object();
    json.end_array().key("mismatched_accounts").begin_array();
    for (const auto& row : wrong)
        json.value(store::read_cell<AccountId>(row[0]));
    json.end_array().end_object();
    return json_reply(json.take());
}

std::optional<std::string> leader_name(const std::optional<engine::KnownLeader>& leader) {
    return leader ? std::optional(leader->holder) : std::nullopt;
}

/// Of this server: where another one leads, the counts of commands are those of its own leaderships.
Result<http::Reply> scheduler(const Call& call) {
    const Services& services = call.services;
    const engine::EngineStats stats = services.engine.stats();
    const auto leader = services.follower.leader();
    const bool leads = services.engine.accepts();
    JsonWriter json;
    json.begin_object()
        .field("market", services.config.market)
        .field("server", stats.holder)
        .field("role", leads ? "leader" : "follower")
        .field("leader", leads ? std::optional(stats.holder) : leader_name(leader))
        .field("leader_address", leader ? std::optional(leader->address) : std::nullopt)
        .field("epoch", leads || !leader ? stats.epoch : leader->epoch)
        .field("sequence", leads ? stats.sequence : services.follower.sequence())
        .field("last_confirmed_at", stats.confirmed_at)
        .field("queue_depth", stats.queue_depth)
        .field("active_leases", stats.active_leases)
        .field("standing_orders", stats.standing_orders)
        .field("batches", stats.batches)
        .field("commands", stats.commands)
        .field("quarantined", stats.quarantined)
        .end_object();
    return json_reply(json.take());
}

}  // namespace

void add_admin_routes(std::vector<Route>& routes) {
    const auto admin = administers();
    const auto as_admin = JobHandler::As::admin;
    routes.push_back({post, "/v1/admin/organizations", admin, small_json, keyed,
                      CommandHandler{body_command<decode_organization>, encode_organization, 201}});
    routes.push_back({get, "/v1/admin/organizations", admin, no_body, not_keyed,
                      JobHandler{list_organizations, as_admin}});
    routes.push_back({post, "/v1/admin/organizations/{organization}/keys", admin, small_json, keyed,
                      JobHandler{create_organization_key, as_admin}, true});
    routes.push_back({post, "/v1/admin/deposits", admin, small_json, keyed,
                      CommandHandler{body_command<decode_deposit>, encode_transfer, 201}});
    routes.push_back({post, "/v1/admin/withdrawals", admin, small_json, keyed,
                      CommandHandler{body_command<decode_withdrawal>, encode_withdrawal, 201}});
    routes.push_back(
        {get, "/v1/admin/ledger", admin, no_body, not_keyed, JobHandler{ledger_proof, as_admin}});
    routes.push_back({get, "/v1/admin/fee", admin, no_body, not_keyed, JobHandler{get_fee, as_admin}});
    routes.push_back({put, "/v1/admin/fee", admin, small_json, not_keyed,
                      CommandHandler{body_command<decode_fee>, encode_fee}});
    routes.push_back(
        {get, "/v1/admin/spot", admin, no_body, not_keyed, JobHandler{get_spot_step, as_admin}});
    routes.push_back({put, "/v1/admin/spot", admin, small_json, not_keyed,
                      CommandHandler{body_command<decode_spot_step>, encode_spot_step}});
    routes.push_back({get, "/v1/admin/scheduler", admin, no_body, not_keyed, DirectHandler{scheduler}});
    routes.push_back({post, "/v1/admin/freezes", admin, small_json, keyed,
                      CommandHandler{body_command<decode_freeze>, encode_freeze, 201}});
    routes.push_back(
        {get, "/v1/admin/freezes", admin, no_body, not_keyed, JobHandler{list_freezes, as_admin}});
    routes.push_back({del, "/v1/admin/freezes/{freeze}", admin, no_body, not_keyed,
                      CommandHandler{decode_remove_freeze, encode_nothing, 204}});
}

}  // namespace fallow::api
