// Outputs that are saved while their job runs, on one open transaction of role agent.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "accounts/accounts.hpp"
#include "accounts/saved_outputs.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

class SavedOutputStore {
  public:
    SavedOutputStore(Transaction& tx, accounts::Author author) : tx_(tx), author_(std::move(author)) {}

    /// Which of the upload's chunks have not arrived. Chunks that neither it nor an output needs are
    /// dropped.
    [[nodiscard]] std::vector<std::string> begin(const accounts::OutputUpload& upload);
    /// The caller has checked the hash. A repeat is harmless. limit_reached.
    [[nodiscard]] Status put_chunk(OrganizationId organization, JobId job, const std::string& sha256,
                                   const std::string& octets);
    /// The files become the attempt's outputs; those that it has besides stay. wrong_state when an upload
    /// with this sequence or a later one was here before; with a pointer when a chunk has not arrived.
    [[nodiscard]] Status commit(const accounts::OutputUpload& upload,
                                const std::function<ArtifactId()>& make_id);

  private:
    void lock(const accounts::OutputUpload& upload);
    [[nodiscard]] Status check_arrived(const accounts::OutputUpload& upload);
    [[nodiscard]] Status put_in_place(const accounts::OutputUpload& upload,
                                      const accounts::OutputFile& file, ArtifactId fresh);
    void fill(const accounts::OutputUpload& upload, const accounts::OutputFile& file, ArtifactId artifact);
    void drop(JobId job, const std::vector<std::string>& wanted);

    Transaction& tx_;
    accounts::Author author_;
};

}  // namespace fallow::store
