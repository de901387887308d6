#include "agent/progress_reporter.hpp"

#include <spdlog/spdlog.h>

#include <cstdint>
#include <utility>

#include "agent/clock.hpp"
#include "agent/server_link.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t tell_every_ms = 2000;

}  // namespace

ProgressReporter::ProgressReporter(std::shared_ptr<ProgressBook> book, Send send)
    : book_(std::move(book)),
      send_(std::move(send)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void ProgressReporter::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        pause_for(tell_every_ms, stop);
        if (!stop.stop_requested()) tell_all(stop);
    }
}

/// What the server could not be told is told with the next round, as it is then.
void ProgressReporter::tell_all(const std::stop_token& stop) {
    for (const ProgressBook::Entry& entry : book_->untold()) {
        try {
            send_(entry.first, entry.second, stop);
            book_->told(entry);
        } catch (const ServerError& error) {
            spdlog::debug("the progress of lease {} was refused: {}", entry.first, error.what());
            if (error.is_final()) book_->told(entry);
        } catch (const std::exception& error) {
            spdlog::debug("the progress of lease {} was not heard: {}", entry.first, error.what());
            return;
        }
    }
}

}  // namespace fallow::agent
