#include "store/accounts_store.hpp"
#include "store/accounts_support.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {

namespace {

using accounts::ApiKey;
using accounts::EnrollmentToken;
using accounts::Page;
using accounts::Position;
using accounts::Rotation;

Error no_such_key() {
    return refuse(ErrorCode::not_found, "The organization has no such API key.");
}

Result<ApiKey> lock_key(Transaction& tx, KeyId key) {
    const auto found =
        tx.query("SELECT " + select_list<ApiKey>() + " FROM api_keys WHERE id = $1 FOR UPDATE", key);
    if (found.empty()) return no_such_key();
    return read_row<ApiKey>(found[0]);
}

/// Refuses beyond the limit, and for an organization that does not exist or is not in sight.
Status insert_key(Transaction& tx, const ApiKey& key, const std::string& hash, Time now) {
    lock_name(tx, "api_keys " + key.organization.text());
    const auto count = tx.query(
        "SELECT count(*) FROM api_keys WHERE organization_id = $1 AND revoked_at IS NULL AND expires_at > "
        "$2",
        key.organization, now);
    if (read_cell<std::int64_t>(count[0][0]) >= limits::keys_per_organization_max) {
        return refuse(ErrorCode::limit_reached, "An organization has at most " +
                                                    std::to_string(limits::keys_per_organization_max) +
                                                    " API keys; revoke one that is no longer needed.");
    }
    const auto inserted = tx.query(
        "INSERT INTO api_keys (id, organization_id, name, prefix, hash, scopes, created_at, expires_at)"
        " SELECT $1, id, $3, $4, $5, $6, $7, $8 FROM organizations WHERE id = $2",
        key.id, key.organization, key.name, key.prefix, Bytes{hash}, key.scopes, key.created_at,
        key.expires_at);
    if (inserted.affected_rows() == 0)
        return refuse(ErrorCode::not_found, "There is no such organization.");
    return Done{};
}

}  // namespace

Result<ApiKey> AccountsStore::create_key(const ApiKey& key, const std::string& hash) {
    if (const Status inserted = insert_key(tx_, key, hash, author_.now); !inserted) return inserted.error();
    append_journal(tx_, author_, {journal_entry(key, "key.created", author_.name)});
    return key;
}

Page<ApiKey> AccountsStore::list_keys(std::int64_t limit, std::optional<Position> after) {
    const Position start = after.value_or(Position{Time(INT64_MIN), RawId{}});
    const auto found = tx_.query("SELECT " + select_list<ApiKey>() +
                                     " FROM api_keys WHERE (created_at, id) > ($1, $2)"
                                     " ORDER BY created_at, id LIMIT $3",
                                 start.at, KeyId(start.id), limit + 1);
    Page<ApiKey> page{read_all<ApiKey>(found), std::nullopt};
    if (static_cast<std::int64_t>(page.items.size()) > limit) {
        page.items.pop_back();
        page.next = Position{page.items.back().created_at, page.items.back().id.raw};
    }
    return page;
}

Result<ApiKey> AccountsStore::find_key(KeyId key) {
    const auto found = tx_.query("SELECT " + select_list<ApiKey>() + " FROM api_keys WHERE id = $1", key);
    if (found.empty()) return no_such_key();
    return read_row<ApiKey>(found[0]);
}

Result<ApiKey> AccountsStore::revoke_key(KeyId key) {
    auto found = lock_key(tx_, key);
    if (!found || found->revoked_at) return found;
    found->revoked_at = author_.now;
    tx_.query("UPDATE api_keys SET revoked_at = $2 WHERE id = $1", key, author_.now);
    append_journal(tx_, author_, {journal_entry(*found, "key.revoked", author_.name)});
    return found;
}

Result<Rotation> AccountsStore::rotate_key(KeyId old, KeyId fresh, const std::string& prefix,
                                           const std::string& hash) {
    const auto found = lock_key(tx_, old);
    if (!found) return found.error();
    const auto successor =
        tx_.query("SELECT rotated_to FROM api_keys WHERE id = $1 AND rotated_to IS NOT NULL", old);
    if (!successor.empty()) {
        return refuse(ErrorCode::wrong_state, "The key was rotated already; rotate its successor " +
                                                  read_cell<KeyId>(successor[0][0]).text() + ".");
    }
    auto rotation = accounts::rotate(*found, fresh, prefix, author_.now);
    if (!rotation) return rotation;
    if (const Status inserted = insert_key(tx_, rotation->fresh, hash, author_.now); !inserted) {
        return inserted.error();
    }
    tx_.query("UPDATE api_keys SET expires_at = $2, rotated_to = $3 WHERE id = $1", old,
              rotation->old.expires_at, fresh);
    append_journal(tx_, author_,
                   {journal_entry(rotation->old, "key.rotated", author_.name),
                    journal_entry(rotation->fresh, "key.created", author_.name)});
    return rotation;
}

Result<EnrollmentToken> AccountsStore::create_token(const EnrollmentToken& token, const std::string& hash) {
    lock_name(tx_, "enrollment_tokens " + token.organization.text());
    const auto count = tx_.query(
        "SELECT count(*) FROM enrollment_tokens WHERE organization_id = $1 AND used_at IS NULL AND "
        "expires_at > $2",
        token.organization, author_.now);
    if (read_cell<std::int64_t>(count[0][0]) >= limits::enrollment_tokens_per_organization_max) {
        return refuse(ErrorCode::limit_reached,
                      "An organization has at most " +
                          std::to_string(limits::enrollment_tokens_per_organization_max) +
                          " unused enrolment tokens; they end after an hour.");
    }
    tx_.query(
        "INSERT INTO enrollment_tokens (id, organization_id, host_name, country, hash, created_at, "
        "expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        token.id, token.organization, token.name, token.country, Bytes{hash}, token.created_at,
        token.expires_at);
    append_journal(tx_, author_, {journal_entry(token, "token.created", author_.name)});
    return token;
}

}  // namespace fallow::store
