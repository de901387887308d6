#include "api/receipt.hpp"

#include <optional>

#include "api/host_key.hpp"
#include "api/json_writer.hpp"
#include "api/queries.hpp"
#include "engine/store.hpp"

namespace fallow::api {
namespace {

/// The last accepted statement: the one whose hash the receipt names.
std::optional<market::Usage> last_usage(store::Transaction& tx, LeaseId lease) {
    const auto rows =
        tx.query("SELECT " + store::select_list<market::Usage>() +
                     " FROM usage_statements WHERE lease_id = $1 ORDER BY sequence DESC LIMIT 1",
                 lease);
    if (rows.empty()) return std::nullopt;
    return store::read_row<market::Usage>(rows[0]);
}

}  // namespace

Result<http::Reply> read_receipt(store::Transaction& tx, const market::Lease& lease) {
    const auto receipt = find_row<engine::Receipt>(tx, lease.id, "lease_id");
    if (!receipt) return receipt.error();
    const auto usage = last_usage(tx, lease.id);
    const auto host = tx.query(
        "SELECT signing_key, signing_key_certificate FROM host_keys WHERE host_id = $1", lease.host);
    if (host.empty()) return refuse(ErrorCode::not_found, "The host's key is not known any more.");
    const auto key = store::read_cell<std::string>(host[0][0]);
    const auto certificate =
        host_key_certificate(lease.host, key, store::read_cell<std::string>(host[0][1]));

    JsonWriter json(4096);
    json.begin_object()
        .field("receipt", receipt->statement)
        .field("server_signature", receipt->server_signature)
        .field("usage_statement", usage ? std::optional(usage->statement) : std::nullopt)
        .field("usage_signature", usage ? std::optional(usage->signature) : std::nullopt)
        .field("host_key", key);
    json.key("host_key_certificate");
    if (certificate)
        json.begin_object()
            .field("statement", certificate->statement)
            .field("signature", certificate->signature)
            .end_object();
    else
        json.null();
    json.end_object();
    return json_reply(json.take());
}

}  // namespace fallow::api
