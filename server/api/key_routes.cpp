// Who am I, and the keys of my organization. Any key may look; a key makes keys with no more than its own
// scopes.
#include "api/accounts_decode.hpp"
#include "api/accounts_json.hpp"
#include "api/keys.hpp"
#include "api/market_json.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "auth/keys.hpp"
#include "store/accounts_store.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

constexpr std::string_view keys_tag = "keys";

Result<http::Reply> whoami(JobCall& call) {
    const auto organization = find_row<market::Organization>(call.tx, call.actor().organization);
    if (!organization) return organization.error();
    const auto key = store::AccountsStore(call.tx, call.author()).find_key(*call.actor().key());
    if (!key) return key.error();
    JsonWriter json;
    json.begin_object().key("organization");
    write(json, *organization);
    json.key("key");
    write(json, *key);
    json.end_object();
    return json_reply(json.take());
}

Result<http::Reply> create_key_for_self(JobCall& call) {
    return create_key(call, call.actor().organization, call.actor().scopes);
}

Result<http::Reply> list_keys(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), keys_tag, 1);
    if (!page) return page.error();
    std::optional<accounts::Position> after;
    if (page->after) after = accounts::Position{Time(page->after->numbers[0]), page->after->id};
    const auto found = store::AccountsStore(call.tx, call.author()).list_keys(page->limit, after);
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const accounts::ApiKey& key : found.items)
        write(json, key);
    json.end_array().key("next_cursor");
    if (found.next)
        json.value(encode_cursor(keys_tag, {{found.next->at.ms}, found.next->id}));
    else
        json.null();
    json.end_object();
    return json_reply(json.take());
}

/// A key may end another only when it could have made it: so a narrow key cannot lock a wider one out.
Result<accounts::ApiKey> find_governed_key(JobCall& call) {
    const auto id = call.id<KeyId>("key");
    if (!id) return id.error();
    auto key = store::AccountsStore(call.tx, call.author()).find_key(*id);
    if (!key) return key;
    if (const Status good = accounts::check_scopes(key->scopes, call.actor().scopes.names()); !good)
        return good.error();
    return key;
}

Result<http::Reply> revoke_key(JobCall& call) {
    const auto key = find_governed_key(call);
    if (!key) return key.error();
    const auto revoked = store::AccountsStore(call.tx, call.author()).revoke_key(key->id);
    if (!revoked) return revoked.error();
    call.publish.emplace_back("journal");
    return no_content();
}

Result<http::Reply> rotate_key(JobCall& call) {
    if (const Status good = decode_nothing(call.request().body); !good) return good.error();
    const auto key = find_governed_key(call);
    if (!key) return key.error();
    const std::string secret = auth::generate_secret(auth::SecretKind::api_key);
    const auto rotation = store::AccountsStore(call.tx, call.author())
                              .rotate_key(key->id, KeyId(call.services.random()),
                                          auth::visible_prefix(secret), auth::key_hash(secret));
    if (!rotation) return rotation.error();
    call.publish.emplace_back("journal");
    return json_reply(key_with_secret_json(rotation->fresh, secret), 201);
}

}  // namespace

Result<http::Reply> create_key(JobCall& call, OrganizationId organization, auth::ScopeSet scopes_max) {
    const auto wanted = decode_new_key(call.request().body);
    if (!wanted) return wanted.error();
    if (const Status good = accounts::check_scopes(wanted->scopes, scopes_max.names()); !good)
        return good.error();
    const Time now = call.services.now();
    const auto expires_at = accounts::key_expiry(now, wanted->expires_in);
    if (!expires_at) return expires_at.error();
    const std::string secret = auth::generate_secret(auth::SecretKind::api_key);
    const accounts::ApiKey key{KeyId(call.services.random()),
                               organization,
                               wanted->name,
                               auth::visible_prefix(secret),
                               wanted->scopes,
                               now,
                               *expires_at,
                               std::nullopt};
    const auto made = store::AccountsStore(call.tx, call.author()).create_key(key, auth::key_hash(secret));
    if (!made) return made.error();
    call.publish.emplace_back("journal");
    return json_reply(key_with_secret_json(*made, secret), 201);
}

void add_key_routes(std::vector<Route>& routes) {
    const auto any = Access::any_key();
    routes.push_back({get, "/v1/whoami", any, no_body, not_keyed, JobHandler{whoami}});
    routes.push_back({post, "/v1/keys", any, small_json, keyed, JobHandler{create_key_for_self}, true});
    routes.push_back({get, "/v1/keys", any, no_body, not_keyed, JobHandler{list_keys}});
    routes.push_back({del, "/v1/keys/{key}", any, no_body, not_keyed, JobHandler{revoke_key}});
    routes.push_back({post, "/v1/keys/{key}/rotate", any, small_json, keyed, JobHandler{rotate_key}, true});
}

}  // namespace fallow::api
