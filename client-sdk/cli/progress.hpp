// What a job's host is moving for it, on stderr, while somebody waits for the job: a line that changes on a
// terminal, else a line now and then.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "context.hpp"

namespace fallow::cli {

/// "fetching inputs: 3 MiB of 100 MiB (3 %)"
[[nodiscard]] std::string progress_text(const JobProgress& progress);

/// Asks every two seconds, on a thread and a connection of its own, so that the log is followed meanwhile.
class ProgressWatch {
  public:
    ProgressWatch(Context& context, std::string job_id);
    ~ProgressWatch();
    ProgressWatch(const ProgressWatch&) = delete;
    ProgressWatch& operator=(const ProgressWatch&) = delete;

    /// Takes the line from the terminal, so that something else can be written there.
    void hide();

  private:
    void run(const std::stop_token& stop);
    [[nodiscard]] bool pause(const std::stop_token& stop);
    void show(const std::optional<JobProgress>& progress);
    void erase();

    Client client_;
    std::string job_id_;
    const bool is_terminal_;
    std::mutex mutex_;
    std::condition_variable_any never_;
    bool is_shown_ = false;
    std::string step_;  ///< that the last line was about; the next two are of a stderr that is no terminal
    std::int64_t written_ms_ = 0;
    std::jthread thread_;  // last: it uses all of the above
};

}  // namespace fallow::cli
