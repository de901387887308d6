// Keys, artifacts, logs and money as the API shows them.
#pragma once

#include "accounts/accounts.hpp"
#include "api/json_writer.hpp"
#include "ledger/account.hpp"

namespace fallow::api {

void write(JsonWriter& json, const accounts::ApiKey& key);
void write(JsonWriter& json, const accounts::Artifact& artifact);
void write(JsonWriter& json, const accounts::LogEntry& entry);
void write(JsonWriter& json, const accounts::OutputWithArtifact& output);

/// A transfer with the kinds of its two accounts, which are not in its row.
struct TransferView {
    ledger::Transfer transfer;
    ledger::AccountKind debit_kind = ledger::AccountKind::external;
    ledger::AccountKind credit_kind = ledger::AccountKind::available;
};
void write(JsonWriter& json, const TransferView& view);

/// The account kinds of a transfer follow from its reason, so that a command's reply needs no second look;
/// `from` matters for a withdrawal, a bond and a lease's penalty alone, `to` for a bond given back.
[[nodiscard]] TransferView view_of(const ledger::Transfer& transfer,
                                   ledger::AccountKind from = ledger::AccountKind::earned,
                                   ledger::AccountKind to = ledger::AccountKind::available);

/// {"key":…,"secret":…}: the only reply that ever shows a secret.
[[nodiscard]] std::string key_with_secret_json(const accounts::ApiKey& key, const std::string& secret);

}  // namespace fallow::api
