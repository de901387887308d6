#include "base/assert.hpp"
#include "store/accounts_store.hpp"
#include "store/accounts_support.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {

Result<std::optional<accounts::StoredReply>> IdempotencyStore::claim(const accounts::IdempotencyKey& key) {
    lock_name(tx_, "idempotency " + key.organization.text() + " " + key.route + " " + key.key);
    const auto found = tx_.query(
        "SELECT body_hash, status, reply FROM idempotency_keys"
        " WHERE organization_id = $1 AND route = $2 AND key = $3 ORDER BY created_at DESC LIMIT 1",
        key.organization, key.route, key.key);
    if (found.empty()) return std::optional<accounts::StoredReply>();
    const auto row = found[0];
    if (read_cell<std::string>(row[0]) != key.body_hash) {
        return refuse(ErrorCode::idempotency_key_reused,
                      "The key was used for another request; make a new one for a new request.",
                      "header:Idempotency-Key");
    }
    return std::optional(
        accounts::StoredReply{read_cell<std::int32_t>(row[1]), read_cell<std::string>(row[2])});
}

void IdempotencyStore::keep(const accounts::IdempotencyKey& key, const accounts::StoredReply& reply,
                            Time now) {
    FALLOW_ASSERT(reply.status < 500);
    tx_.query(
        "INSERT INTO idempotency_keys (organization_id, route, key, body_hash, status, reply, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        key.organization, key.route, key.key, key.body_hash, reply.status, reply.body, now);
}

}  // namespace fallow::store
