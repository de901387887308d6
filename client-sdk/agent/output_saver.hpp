// Saves a job's declared outputs to the server, while it runs and after its exit. Each file is read whole
// as it stands, and only chunks that the server has not are sent; all files become the attempt's outputs
// together.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "agent/server_link.hpp"
#include "agent/storage.hpp"

namespace fallow::agent {

/// A regular file that the guest made, opened once: whatever its name points to later, this is what is
/// read.
class OpenOutput {
  public:
    /// By which the kernel shows a change. A guest cannot set the time of a change.
    struct Stamp {
        std::uint64_t inode = 0;
        std::int64_t bytes = 0;
        std::int64_t changed_ns = 0;
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };

    /// Takes the descriptor over.
    explicit OpenOutput(int fd);
    ~OpenOutput();
    OpenOutput(OpenOutput&& other) noexcept;
    OpenOutput& operator=(OpenOutput&& other) noexcept;
    OpenOutput(const OpenOutput&) = delete;
    OpenOutput& operator=(const OpenOutput&) = delete;

    [[nodiscard]] const Stamp& opened() const { return opened_; }
    [[nodiscard]] Stamp now() const;
    /// The octets of 1 MiB; nothing when the file has become shorter.
    [[nodiscard]] std::optional<std::string> read_chunk(std::size_t number) const;

  private:
    int fd_;
    Stamp opened_;
};

struct SavedOutputs {
    std::vector<std::string> left_out;  ///< a sentence for each file that is not as it is now
};

/// One lease's; one thread at a time.
class OutputSaver {
  public:
    OutputSaver(std::string lease_id, std::int64_t lease_epoch, const WorkingStorage& storage);

    /// `is_still`: the program has ended, so that nothing changes any more; else a file that changes while
    /// it is read stays as it was saved before. Throws what the link throws, and std::runtime_error when
    /// `stop` came first.
    [[nodiscard]] SavedOutputs save(ServerLink& server, const std::vector<std::string>& paths,
                                    bool is_still, const OnProgress& on_progress, std::stop_token stop);

  private:
    struct Candidate {
        OutputFile file;
        std::optional<OpenOutput> source;  ///< nothing: as it was saved before
    };
    [[nodiscard]] static std::int64_t bytes_of(const std::set<std::string>& chunks,
                                               const std::vector<Candidate>& candidates);
    [[nodiscard]] std::optional<OutputFile> read(const std::string& path, const OpenOutput& source,
                                                 std::stop_token stop) const;
    void gather(const std::string& path, bool is_still, std::vector<Candidate>& candidates,
                SavedOutputs& saved, std::stop_token stop);
    void keep_earlier(const std::string& path, const std::string& why, std::vector<Candidate>& candidates,
                      SavedOutputs& saved) const;
    [[nodiscard]] bool send(ServerLink& server, const std::vector<std::string>& missing,
                            std::vector<Candidate>& candidates, SavedOutputs& saved,
                            const OnProgress& on_progress, std::stop_token stop);

    std::string lease_id_;
    std::int64_t lease_epoch_;
    const WorkingStorage& storage_;
    /// What is at the server, and what the file was like then.
    std::map<std::string, std::pair<OpenOutput::Stamp, OutputFile>> saved_;
};

}  // namespace fallow::agent
