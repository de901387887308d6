// What accounts/ asks of a database, on one open transaction: its role decides what can be seen, its owner
// commits it. Each class holds references only and lives no longer than the transaction.
#pragma once

#include <optional>
#include <string>

#include "accounts/accounts.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

/// Roles: request or admin.
class IdempotencyStore final : public accounts::IdempotencyStore {
  public:
    explicit IdempotencyStore(Transaction& tx) : tx_(tx) {}

    [[nodiscard]] Result<std::optional<accounts::StoredReply>> claim(
        const accounts::IdempotencyKey& key) override;
    void keep(const accounts::IdempotencyKey& key, const accounts::StoredReply& reply, Time now) override;

  private:
    Transaction& tx_;
};

/// Role: auth.
class AuthStore final : public accounts::AuthStore {
  public:
    AuthStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    [[nodiscard]] std::optional<accounts::FoundKey> find_key(const std::string& hash) override;
    [[nodiscard]] std::optional<accounts::FoundCertificate> find_certificate(
        const std::string& serial_hex) override;
    [[nodiscard]] bool has_admin_key(Time now) override;
    [[nodiscard]] Result<accounts::EnrollmentToken> reserve_token(const std::string& hash, HostId host,
                                                                  const std::string& signing_key,
                                                                  Time now) override;
    void record_certificate(const accounts::AgentCertificate& certificate) override;

  private:
    Transaction& tx_;
    accounts::Author author_;
};

/// Roles: request, for its own organization; admin, for the organization that a row names; auth, to create
/// the first key alone.
class AccountsStore final : public accounts::AccountsStore {
  public:
    AccountsStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    [[nodiscard]] Result<accounts::ApiKey> create_key(const accounts::ApiKey& key,
                                                      const std::string& hash) override;
    [[nodiscard]] accounts::Page<accounts::ApiKey> list_keys(
        std::int64_t limit, std::optional<accounts::Position> after) override;
    [[nodiscard]] Result<accounts::ApiKey> find_key(KeyId key) override;
    [[nodiscard]] Result<accounts::ApiKey> revoke_key(KeyId key) override;
    [[nodiscard]] Result<accounts::Rotation> rotate_key(KeyId old, KeyId fresh, const std::string& prefix,
                                                        const std::string& hash) override;
    [[nodiscard]] Result<accounts::EnrollmentToken> create_token(const accounts::EnrollmentToken& token,
                                                                 const std::string& hash) override;

  private:
    Transaction& tx_;
    accounts::Author author_;
};

}  // namespace fallow::store
