#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fallow/human.hpp>
#include <utility>

#include "output.hpp"
#include "terminal.hpp"

namespace fallow::cli {
namespace {

constexpr std::chrono::milliseconds ask_every{2000};
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

std::string progress_text(const JobProgress& progress) {
    std::string step = progress.step;
    std::replace(step.begin(), step.end(), '_', ' ');
    if (!progress.total_bytes) return fmt::format("{}: {}", step, format_size(progress.done_bytes));
    const std::int64_t total = *progress.total_bytes;
    return fmt::format("{}: {} of {} ({} %)", step, format_size(progress.done_bytes), format_size(total),
                       percent_of(progress.done_bytes, total));
}

ProgressWatch::ProgressWatch(Context& context, std::string job_id)
    : client_(context.another_client(one_try)),
      job_id_(std::move(job_id)),
      is_terminal_(is_terminal(STDERR_FILENO)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

ProgressWatch::~ProgressWatch() {
    thread_.request_stop();
    thread_.join();
    hide();
}

void ProgressWatch::hide() {
    const std::lock_guard lock(mutex_);
    erase();
}

void ProgressWatch::erase() {
    if (is_shown_) std::fputs("\r\033[K", stderr);
    is_shown_ = false;
}

bool ProgressWatch::pause(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    never_.wait_for(lock, stop, ask_every, [] { return false; });
    return !stop.stop_requested();
}

void ProgressWatch::run(const std::stop_token& stop) {
    while (pause(stop)) {
        try {
            const Job job = client_.job(job_id_);
            if (!stop.stop_requested()) show(job.progress);
        } catch (const std::exception&) {
            show(std::nullopt);  // whoever follows the log hears of what lasts
        }
    }
}

void ProgressWatch::show(const std::optional<JobProgress>& progress) {
    const std::lock_guard lock(mutex_);
    if (is_terminal_) {
        erase();
        if (!progress) return;
        std::fputs(printable(progress_text(*progress)).c_str(), stderr);
        is_shown_ = true;
        return;
    }
    const std::int64_t now = system_environment().now_ms();
    if (!progress || (progress->step == step_ && now - written_ms_ < write_every_ms)) return;
    Context::message(progress_text(*progress));
    step_ = progress->step;
    written_ms_ = now;
}

}  // namespace fallow::cli
