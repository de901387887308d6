#include "api/bootstrap.hpp"

#include <stdexcept>

#include "auth/keys.hpp"
#include "auth/scopes.hpp"
#include "market/state.hpp"
#include "store/accounts_store.hpp"
#include "store/migrate.hpp"
#include "store/row_reader.hpp"

namespace fallow::api {

void require_schema(store::Connection& connection) {
    const store::SchemaCheck check = store::check_schema(connection);
    if (check.state != store::SchemaState::equal) throw std::runtime_error(check.message);
}

bool create_first_admin_key(store::Connection& connection, const DataFolder& folder, Time now, KeyId id) {
    store::Transaction tx(connection, store::Actor::auth());
    if (store::AuthStore(tx, {"system", now}).has_admin_key(now)) return false;
    const std::string secret = auth::generate_secret(auth::SecretKind::api_key);
    const accounts::ApiKey key{id,
                               market::platform_organization,
                               "first admin key",
                               auth::visible_prefix(secret),
                               auth::ScopeSet::all().names(),
                               now,
                               now + accounts::key_life_max,
                               std::nullopt};
    const auto made = store::AccountsStore(tx, {"system", now}).create_key(key, auth::key_hash(secret));
    if (!made) throw std::runtime_error("the first admin key could not be made: " + made.error().detail);
    // The file first: a key that is in the database and nowhere else could never be used.
    folder.write_private("admin.key", secret + "\n");
    tx.commit();
    return true;
}

void load_key_filter(store::Connection& connection, KeyFilter& filter) {
    store::Transaction tx(connection, store::Actor::engine());
    tx.exec(
        "DECLARE used_keys NO SCROLL CURSOR FOR SELECT organization_id, route, key FROM idempotency_keys");
    while (true) {
        const auto rows = tx.exec("FETCH 10000 FROM used_keys");
        for (const auto& row : rows)
            filter.add(store::read_cell<OrganizationId>(row[0]), store::read_cell<std::string>(row[1]),
                       store::read_cell<std::string>(row[2]));
        if (rows.empty()) break;
    }
    tx.commit();
}

}  // namespace fallow::api
