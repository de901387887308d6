// Checkpoints in PostgreSQL, on one open transaction, role request or agent. The row of a job's head is the
// lock that orders what changes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "accounts/accounts.hpp"
#include "accounts/checkpoints.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

class CheckpointStore final : public accounts::CheckpointStore {
  public:
    CheckpointStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    [[nodiscard]] std::vector<std::string> begin(OrganizationId organization, JobId job,
                                                 const std::vector<std::string>& chunks) override;
    [[nodiscard]] Status put_chunk(OrganizationId organization, JobId job, const std::string& sha256,
                                   const std::string& octets, std::int64_t bytes_max) override;
    [[nodiscard]] Result<std::string> read_chunk(JobId job, const std::string& sha256) override;
    [[nodiscard]] Result<accounts::Checkpoint> commit(const accounts::Checkpoint& checkpoint,
                                                      const std::vector<accounts::CheckpointEntry>& entries,
                                                      const std::string& document) override;
    void note_problem(OrganizationId organization, JobId job, const std::string& problem) override;
    [[nodiscard]] std::optional<accounts::CheckpointWithEntries> newest(JobId job) override;
    [[nodiscard]] std::vector<accounts::Checkpoint> list(JobId job) override;
    [[nodiscard]] Result<accounts::CheckpointWithEntries> find(JobId job, std::int32_t number) override;
    [[nodiscard]] std::optional<accounts::CheckpointProblem> problem(JobId job) override;

  private:
    struct Head {
        std::int32_t next_number = 1;
        std::int64_t stored_bytes = 0;
    };
    /// The head's row, made if there is none, locked until the end of the transaction.
    [[nodiscard]] Head lock(OrganizationId organization, JobId job);
    /// Chunks that no checkpoint and not `wanted` names.
    void drop_chunks(JobId job, const std::vector<std::string>& wanted);
    [[nodiscard]] Status check_arrived(JobId job, const std::vector<accounts::CheckpointEntry>& entries);

    Transaction& tx_;
    accounts::Author author_;
};

}  // namespace fallow::store
