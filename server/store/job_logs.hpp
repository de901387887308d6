// Logs of jobs in PostgreSQL, on one open transaction. Role agent appends, role request reads.
#pragma once

#include <vector>

#include "accounts/accounts.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

class LogStore final : public accounts::LogStore {
  public:
    LogStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    [[nodiscard]] std::int64_t append(OrganizationId organization, JobId job, std::int32_t attempt,
                                      std::int64_t first_sequence,
                                      const std::vector<accounts::LogEntry>& entries) override;
    [[nodiscard]] std::vector<accounts::LogEntry> read(JobId job, std::int32_t attempt, std::int64_t after,
                                                       std::int64_t limit) override;

  private:
    Transaction& tx_;
    accounts::Author author_;
};

}  // namespace fallow::store
