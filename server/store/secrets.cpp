#include "store/secrets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "store/accounts_support.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {
namespace {

using accounts::Secret;

StoredSecret read_stored(const pqxx::row& row) {
    const auto width = static_cast<int>(columns_of<Secret>().size());
    return {read_row<Secret>(row),
            {read_cell<std::string>(row[width]), read_cell<Bytes>(row[width + 1]).octets,
             read_cell<Bytes>(row[width + 2]).octets}};
}

std::string select_stored() {
    return "SELECT " + select_list<Secret>() + ", key_id, wrapped_key, sealed FROM secrets";
}

}  // namespace

Result<Secret> SecretStore::next_version(const Secret& fresh) {
    lock_name(tx_, "secrets " + fresh.organization.text());
    const auto known =
        tx_.query("SELECT " + select_list<Secret>() + " FROM secrets WHERE name = $1", fresh.name);
    if (!known.empty()) {
        auto secret = read_row<Secret>(known[0]);
        secret.version += 1;
        secret.updated_at = fresh.updated_at;
        return secret;
    }
    const auto count = tx_.exec("SELECT count(*) FROM secrets");
    if (read_cell<std::int64_t>(count[0][0]) >= limits::secrets_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("An organization keeps at most {} secrets; delete one that is no longer "
                                  "needed.",
                                  limits::secrets_per_organization_max));
    return fresh;
}

void SecretStore::write(const Secret& secret, const accounts::SealedSecret& sealed) {
    // Not by ON CONFLICT, whose `excluded` would need the right to read the value.
    if (secret.version == 1)
        tx_.query(
            "INSERT INTO secrets (id, organization_id, name, version, created_at, updated_at, key_id,"
            " wrapped_key, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            secret.id, secret.organization, secret.name, secret.version, secret.created_at,
            secret.updated_at, sealed.key_id, Bytes{sealed.wrapped_key}, Bytes{sealed.sealed});
    else
        tx_.query(
            "UPDATE secrets SET version = $2, updated_at = $3, key_id = $4, wrapped_key = $5, sealed = $6"
            " WHERE id = $1",
            secret.id, secret.version, secret.updated_at, sealed.key_id, Bytes{sealed.wrapped_key},
            Bytes{sealed.sealed});
    append_journal(tx_, author_, {journal_entry(secret, "secret.set", author_.name)});
}

Status SecretStore::remove(const std::string& name) {
    const auto removed =
        tx_.query("DELETE FROM secrets WHERE name = $1 RETURNING " + select_list<Secret>(), name);
    if (removed.empty())
        return refuse(ErrorCode::not_found, "The organization has no secret of this name.");
    append_journal(tx_, author_,
                   {journal_entry(read_row<Secret>(removed[0]), "secret.deleted", author_.name)});
    return Done{};
}

Status SecretStore::require_one(const std::string& name, std::string pointer) {
    if (!tx_.query("SELECT name FROM secrets WHERE name = $1", name).empty()) return Done{};
    return refuse(ErrorCode::not_found, "The organization has no secret of this name; set it first.",
                  std::move(pointer));
}

Status SecretStore::require(const std::vector<std::string>& names, std::string_view prefix) {
    const auto found = tx_.query("SELECT name FROM secrets WHERE name = ANY ($1::text[])", names);
    for (std::size_t i = 0; i < names.size(); ++i) {
        const bool is_there = std::ranges::any_of(
            found, [&](const pqxx::row& row) { return read_cell<std::string>(row[0]) == names[i]; });
        if (!is_there)
            return refuse(ErrorCode::not_found,
                          "The organization has no secret of this name; set it first.",
                          fmt::format("{}/secrets/{}", prefix, i));
    }
    return Done{};
}

std::vector<StoredSecret> SecretStore::read(const std::vector<std::string>& names) {
    std::vector<StoredSecret> secrets;
    for (const auto& row :
         tx_.query(select_stored() + " WHERE name = ANY ($1::text[]) ORDER BY name", names))
        secrets.push_back(read_stored(row));
    return secrets;
}

std::vector<std::string> secret_keys_in_use(Transaction& tx) {
    std::vector<std::string> keys;
    for (const auto& row : tx.exec("SELECT DISTINCT key_id FROM secrets"))
        keys.push_back(read_cell<std::string>(row[0]));
    return keys;
}

Rewrapped rewrap_secrets(Transaction& tx, const std::string& key, std::int32_t rows_max,
                         const Rewrap& rewrap) {
    Rewrapped done;
    const auto found =
        tx.query(select_stored() + " WHERE key_id <> $1 LIMIT $2 FOR UPDATE SKIP LOCKED", key, rows_max);
    for (const auto& row : found) {
        const StoredSecret stored = read_stored(row);
        const auto fresh = rewrap(stored.secret, stored.sealed);
        if (!fresh) {
            ++done.unopened;
            continue;
        }
        tx.query("UPDATE secrets SET key_id = $2, wrapped_key = $3 WHERE id = $1", stored.secret.id,
                 fresh->key_id, Bytes{fresh->wrapped_key});
        ++done.rewrapped;
    }
    return done;
}

}  // namespace fallow::store
