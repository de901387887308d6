// How far a lease is with what is moved for it, and which of that the server is still to be told. Values
// and their bookkeeping; progress_reporter.hpp does the telling.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fallow::agent {

enum class TransferStep { pulling_image, fetching_inputs, restoring_checkpoint, uploading_outputs };

/// As the server's route has it.
[[nodiscard]] std::string_view name_of(TransferStep step);

struct TransferProgress {
    TransferStep step = TransferStep::pulling_image;
    std::int64_t done_bytes = 0;
    std::optional<std::int64_t> total_bytes;  ///< nothing while it is not known
    friend bool operator==(const TransferProgress&, const TransferProgress&) = default;
};

/// Called on the thread that moves the octets; has to be quick.
using OnProgress = std::function<void(const TransferProgress&)>;

/// Adds up a step whose whole is known, and says so after each piece.
class TransferCount {
  public:
    TransferCount(TransferStep step, std::int64_t total_bytes, OnProgress on_progress);
    void add(std::int64_t bytes);

  private:
    TransferProgress progress_;
    OnProgress on_progress_;
};

/// The newest progress of each lease until the server has heard it: however fast it changes and however
/// long the server is away, one value a lease. Any thread.
class ProgressBook {
  public:
    void note(const std::string& lease_id, const TransferProgress& progress);
    /// The lease's step is over. Of one that nobody can have heard of nothing needs to be told any more.
    void end(const std::string& lease_id);
    /// The lease is.
    void forget(const std::string& lease_id);

    using Entry = std::pair<std::string, TransferProgress>;
    /// What the server has not heard, by lease.
    [[nodiscard]] std::vector<Entry> untold();
    /// The server has heard it, or does not want to.
    void told(const Entry& entry);

  private:
    struct Noted {
        TransferProgress progress;
        std::optional<TransferProgress> told;
        std::optional<TransferStep> given_out;  ///< the step that untold() has named last
        bool is_over = false;
    };
    std::mutex mutex_;
    std::map<std::string, Noted> noted_;
};

}  // namespace fallow::agent
