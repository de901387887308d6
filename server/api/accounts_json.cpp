#include "api/accounts_json.hpp"

#include "auth/base64.hpp"

namespace fallow::api {

void write(JsonWriter& json, const accounts::ApiKey& key) {
    json.begin_object()
        .field("id", key.id)
        .field("organization_id", key.organization)
        .field("name", key.name)
        .field("prefix", key.prefix)
        .field("scopes", key.scopes)
        .field("created_at", key.created_at)
        .field("expires_at", key.expires_at)
        .field("revoked_at", key.revoked_at)
        .end_object();
}

void write(JsonWriter& json, const accounts::Artifact& artifact) {
    json.begin_object()
        .field("id", artifact.id)
        .field("name", artifact.name)
        .field("bytes", artifact.bytes)
        .field("sha256", artifact.sha256)
        .field("state", artifact.state)
        .field("parts_received", artifact.parts_received)
        .field("created_at", artifact.created_at)
        .field("expires_at", artifact.expires_at)
        .end_object();
}

void write(JsonWriter& json, const accounts::LogEntry& entry) {
    json.begin_object()
        .field("sequence", entry.sequence)
        .field("stream", accounts::api_name(entry.stream))
        .field("at", entry.at)
        .field("data", auth::base64_encode(entry.data))
        .end_object();
}

void write(JsonWriter& json, const accounts::OutputWithArtifact& output) {
    json.begin_object().field("path", output.output.path).field("attempt", output.output.attempt);
    json.key("artifact");
    write(json, output.artifact);
    json.end_object();
}

void write(JsonWriter& json, const TransferView& view) {
    const ledger::Transfer& transfer = view.transfer;
    json.begin_object()
        .field("id", transfer.id)
        .field("debit_account_id", transfer.debit)
        .field("credit_account_id", transfer.credit)
        .field("debit_kind", view.debit_kind)
        .field("credit_kind", view.credit_kind)
        .field("amount_micros", transfer.amount)
        .field("reason", transfer.reason)
        .field("lease_id", transfer.lease)
        .field("reservation_id", transfer.reservation)
        .field("reference", transfer.reference)
        .field("at", transfer.at)
        .end_object();
}

TransferView view_of(const ledger::Transfer& transfer, ledger::AccountKind from, ledger::AccountKind to) {
    using enum ledger::AccountKind;
    using Reason = ledger::TransferReason;
    switch (transfer.reason) {
        case Reason::deposit:
            return {transfer, external, available};
        case Reason::withdrawal:
            return {transfer, from, external};
        case Reason::hold:
            return {transfer, available, held};
        case Reason::release:
            return {transfer, held, available};
        case Reason::charge:
            return {transfer, held, earned};
        case Reason::fee:
            return {transfer, held, fees};
        case Reason::reserve:
            return {transfer, available, held};
        case Reason::unreserve:
            return {transfer, held, available};
        case Reason::kept:
            return {transfer, available, earned};
        case Reason::kept_fee:
            return {transfer, available, fees};
        case Reason::bond:
            return {transfer, from, held};
        case Reason::unbond:
            return {transfer, held, to};
        case Reason::penalty:
            return {transfer, transfer.reservation ? held : from, available};
        case Reason::sale:
            return {transfer, available, available};
    }
    return {transfer, external, available};
}

std::string key_with_secret_json(const accounts::ApiKey& key, const std::string& secret) {
    JsonWriter json;
    json.begin_object().key("key");
    write(json, key);
    json.field("secret", secret).end_object();
    return json.take();
}

}  // namespace fallow::api
