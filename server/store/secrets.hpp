// Secrets, on one open transaction. The role of requests writes sealed values and cannot read them; an
// agent's sees those that the job names which its host is preparing; the engine's changes their keys.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "accounts/accounts.hpp"
#include "accounts/secrets.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

struct StoredSecret {
    accounts::Secret secret;
    accounts::SealedSecret sealed;
};

class SecretStore {
  public:
    SecretStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    /// What the row will be: `fresh` when there is none of this name, else its next version. The name stays
    /// locked until the end of the transaction. limit_reached.
    [[nodiscard]] Result<accounts::Secret> next_version(const accounts::Secret& fresh);
    void write(const accounts::Secret& secret, const accounts::SealedSecret& sealed);
    /// not_found.
    [[nodiscard]] Status remove(const std::string& name);
    /// Whether all of them are there; not_found, with a pointer "/secrets/N" after `prefix`.
    [[nodiscard]] Status require(const std::vector<std::string>& names, std::string_view prefix);
    /// Whether it is there; not_found, with that pointer.
    [[nodiscard]] Status require_one(const std::string& name, std::string pointer);

    /// Of a host's transaction: what is left out is not for it.
    [[nodiscard]] std::vector<StoredSecret> read(const std::vector<std::string>& names);

  private:
    Transaction& tx_;
    accounts::Author author_;
};

/// Role engine: the keys that secrets are sealed under.
[[nodiscard]] std::vector<std::string> secret_keys_in_use(Transaction& tx);

struct Rewrapped {
    std::int64_t rewrapped = 0;
    std::int64_t unopened = 0;
};
using Rewrap = std::function<std::optional<accounts::SealedSecret>(const accounts::Secret&,
                                                                   const accounts::SealedSecret&)>;
/// Role engine: at most so many that are under another key than `key`.
[[nodiscard]] Rewrapped rewrap_secrets(Transaction& tx, const std::string& key, std::int32_t rows_max,
                                       const Rewrap& rewrap);

}  // namespace fallow::store
