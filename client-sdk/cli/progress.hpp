// What is moved for a job, on stderr, while somebody waits for it: a line that changes on a terminal, else
// a line now and then.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "context.hpp"

namespace fallow::cli {

/// "3 MiB of 100 MiB (3 %)"
[[nodiscard]] std::string amount_text(std::int64_t done_bytes, std::optional<std::int64_t> total_bytes);
/// "fetching inputs: 3 MiB of 100 MiB (3 %)"
[[nodiscard]] std::string progress_text(const JobProgress& progress);

/// Any thread.
class ProgressLine {
  public:
    /// Where stderr is no terminal, nothing is said of that subject in the first 15 s.
    explicit ProgressLine(std::string subject = {});
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    /// Where stderr is no terminal, it is written for a new subject and then every 15 s.
    void show(const std::string& subject, const std::string& text);
    /// Takes it from the terminal, so that something else can be written there.
    void hide();

  private:
    void erase();

    const bool is_terminal_;
    std::mutex mutex_;
    bool is_shown_ = false;
    std::string subject_;
    std::int64_t written_ms_;
};

/// Shows what a job's host says. Asks every two seconds, on a thread and a connection of its own, so that
/// the log is followed meanwhile.
class ProgressWatch {
  public:
    ProgressWatch(Context& context, std::string job_id);

    void hide() { line_.hide(); }

  private:
    void run(const std::stop_token& stop);
    void look();

    Client client_;
    std::string job_id_;
    ProgressLine line_;
    std::jthread thread_;  // last: it uses all of the above
};

}  // namespace fallow::cli
