// Saved searches, on one open transaction of role request.
#pragma once

#include "accounts/accounts.hpp"
#include "accounts/saved_searches.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

class SavedSearchStore final : public accounts::SavedSearchStore {
  public:
    SavedSearchStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    [[nodiscard]] Result<accounts::SavedSearch> create(const accounts::SavedSearch& search) override;
    [[nodiscard]] Result<accounts::SavedSearch> find(const std::string& name) override;
    [[nodiscard]] Status remove(accounts::SavedSearchId search) override;

  private:
    Transaction& tx_;
    accounts::Author author_;
};

}  // namespace fallow::store
