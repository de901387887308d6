// Artifacts and outputs in PostgreSQL, on one open transaction, role request or agent. The parts are rows
// of bytea: with 1 MiB each and 72 hours to live they need no second store that could disagree with the
// first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "accounts/accounts.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

class ArtifactStore final : public accounts::ArtifactStore {
  public:
    ArtifactStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    [[nodiscard]] Result<accounts::Artifact> create(const accounts::Artifact& artifact) override;
    [[nodiscard]] Result<accounts::Artifact> find(ArtifactId artifact) override;
    [[nodiscard]] Status put_part(ArtifactId artifact, std::int32_t number,
                                  const std::string& octets) override;
    [[nodiscard]] Result<std::vector<std::int32_t>> missing_parts(ArtifactId artifact) override;
    [[nodiscard]] Result<accounts::Artifact> complete(ArtifactId artifact) override;
    [[nodiscard]] Result<std::string> read_part(ArtifactId artifact, std::int32_t number) override;
    [[nodiscard]] Status require_complete(const std::vector<ArtifactId>& artifacts, Time keep_until,
                                          std::string_view prefix) override;
    [[nodiscard]] Result<accounts::Artifact> create_output(const accounts::JobOutput& output,
                                                           const accounts::Artifact& artifact) override;
    [[nodiscard]] Status require_output(JobId job, std::int32_t attempt, ArtifactId artifact) override;
    [[nodiscard]] std::vector<accounts::OutputWithArtifact> list_outputs(JobId job) override;

  private:
    /// The row, locked until the end of the transaction.
    [[nodiscard]] Result<accounts::Artifact> lock(ArtifactId artifact);
    [[nodiscard]] std::optional<std::string> part(ArtifactId artifact, std::int32_t number);
    [[nodiscard]] std::string sha256_of(const accounts::Artifact& artifact);

    Transaction& tx_;
    accounts::Author author_;
};

}  // namespace fallow::store
