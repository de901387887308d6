#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fallow/human.hpp>
#include <utility>

#include "output.hpp"
#include "terminal.hpp"

namespace fallow::cli {
namespace {

constexpr std::int64_t ask_every_ms = 2000;
constexpr std::int64_t write_every_ms = 15'000;
/// What could not be asked is asked in a moment; the log is what tells that the server is gone.
constexpr RetryPolicy one_try{.attempts_max = 1,
                              .base_delay_ms = 1,
                              .delay_ms_max = 1,
                              .deadline_ms = 5000,
                              .attempt_timeout_ms = 5000};

std::int64_t percent_of(std::int64_t done, std::int64_t total) {
    if (total <= 0) return 100;
    done = std::clamp<std::int64_t>(done, 0, total);
    return total < 100 ? done * 100 / total : std::min<std::int64_t>(100, done / (total / 100));
}

}  // namespace

std::string amount_text(std::int64_t done_bytes, std::optional<std::int64_t> total_bytes) {
    if (!total_bytes) return format_size(done_bytes);
    return fmt::format("{} of {} ({} %)", format_size(done_bytes), format_size(*total_bytes),
                       percent_of(done_bytes, *total_bytes));
}

std::string progress_text(const JobProgress& progress) {
    std::string step = progress.step;
    std::replace(step.begin(), step.end(), '_', ' ');
    return step + ": " + amount_text(progress.done_bytes, progress.total_bytes);
}

ProgressLine::ProgressLine(std::string subject)
    : is_terminal_(is_terminal(STDERR_FILENO)),
      subject_(std::move(subject)),
      written_ms_(system_environment().now_ms()) {}

ProgressLine::~ProgressLine() {
    hide();
}

void ProgressLine::hide() {
    const std::lock_guard lock(mutex_);
    erase();
}

void ProgressLine::erase() {
    if (is_shown_) std::fputs("\r\033[K", stderr);
    is_shown_ = false;
}

void ProgressLine::show(const std::string& subject, const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (is_terminal_) {
        erase();
        std::fputs(printable(text).c_str(), stderr);
        is_shown_ = true;
        return;
    }
    const std::int64_t now = system_environment().now_ms();
    if (subject == subject_ && now - written_ms_ < write_every_ms) return;
    Context::message(text);
    subject_ = subject;
    written_ms_ = now;
}

ProgressWatch::ProgressWatch(Context& context, std::string job_id)
    : client_(context.another_client(one_try)),
      job_id_(std::move(job_id)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void ProgressWatch::run(const std::stop_token& stop) {
    for (;;) {
        system_environment().pause(ask_every_ms, stop);
        if (stop.stop_requested()) return;
        look();
    }
}

void ProgressWatch::look() {
    std::optional<JobProgress> progress;
    try {
        progress = client_.job(job_id_).progress;
    } catch (const std::exception&) {
        // Whoever follows the log hears of what lasts.
    }
    if (progress)
        line_.show(progress->step, progress_text(*progress));
    else
        line_.hide();
}

}  // namespace fallow::cli
