#include "agent/log_shipper.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t buffer_bytes_max = 1024 * 1024;
constexpr std::size_t batch_bytes_max = 48 * 1024;
constexpr std::size_t entry_bytes_max = 16 * 1024;
constexpr std::size_t entries_max = 256;
constexpr auto gather_for = std::chrono::milliseconds(200);
constexpr std::int64_t retry_ms = 1000;
constexpr std::int64_t wait_ms = 1000;  // for output, before it is looked whether a line is due
constexpr int final_read_failures_max = 10;
/// In the place of one that was begun to be told by an agent that was killed, and is not known any more.
constexpr const char* unknown_notice = "fallow: the traffic that the order allows is used up, or nearly\n";

}  // namespace

LogShipper::LogShipper(LogShipperParts parts, LogPosition position)
    : parts_(std::move(parts)),
      position_(std::move(position)),
      read_bytes_(position_.consumed_bytes),
      reader_([this](std::stop_token stop) { run_reader(stop); }),
      sender_([this](std::stop_token stop) { run_sender(stop); }) {}

LogShipper::~LogShipper() {
    reader_.request_stop();
    sender_.request_stop();
    reader_.join();
    sender_.join();
}

void LogShipper::pause(std::int64_t ms, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, std::chrono::milliseconds(ms), [] { return false; });
}

bool LogShipper::take(LogStream stream, std::string_view data, std::stop_token stop) {
    while (!data.empty()) {
        const std::string_view piece = data.substr(0, entry_bytes_max);
        std::unique_lock lock(mutex_);
        // A full buffer holds back the engine's stream; the output itself waits in the engine's log file.
        const bool room = changed_.wait(
            lock, stop, [&] { return refused_ || buffered_bytes_ + piece.size() <= buffer_bytes_max; });
        if (!room || refused_) return false;
        buffer_.push_back({stream, parts_.unix_ms(), std::string(piece)});
        buffered_bytes_ += piece.size();
        read_bytes_ += static_cast<std::int64_t>(piece.size());
        changed_.notify_all();
        data.remove_prefix(piece.size());
    }
    return true;
}

void LogShipper::read_from_start(bool follow, std::stop_token stop) {
    std::int64_t to_skip = read_bytes_;
    parts_.read(
        follow,
        [&](LogStream stream, std::string_view data) {
            const std::int64_t skipped = std::min(to_skip, static_cast<std::int64_t>(data.size()));
            to_skip -= skipped;
            data.remove_prefix(static_cast<std::size_t>(skipped));
            return take(stream, data, stop);
        },
        stop);
}

void LogShipper::run_reader(std::stop_token stop) {
    int final_failures = 0;
    bool has_just_started = parts_.has_just_started;
    while (!stop.stop_requested()) {
        bool over = false;
        try {
            // Asked before reading: what an ended container wrote is all there, so this pass sees all of
            // it. A followed stream may break off early or miss the last lines.
            over = !std::exchange(has_just_started, false) && parts_.container_ended();
            read_from_start(!over, stop);
        } catch (const std::exception& error) {
            if (stop.stop_requested()) return;
            spdlog::warn("the log of {} cannot be read: {}", parts_.lease_id, error.what());
            if (!over || ++final_failures < final_read_failures_max) {
                pause(retry_ms, stop);
                continue;
            }
        }
        const std::lock_guard lock(mutex_);
        if (over || refused_) {
            ended_ = true;
            changed_.notify_all();
            return;
        }
    }
}

bool LogShipper::wait_for_batch(std::unique_lock<std::mutex>& lock, std::stop_token stop) {
    const std::int64_t pending =
        std::accumulate(position_.pending.begin(), position_.pending.end(), std::int64_t{0});
    const auto needed = static_cast<std::size_t>(std::max<std::int64_t>(pending, 1));
    const auto is_there = [&] { return ended_ || buffered_bytes_ >= needed; };
    while (!changed_.wait_for(lock, stop, std::chrono::milliseconds(wait_ms), is_there)) {
        if (stop.stop_requested()) return false;
        lock.unlock();
        tell_if_due(stop);
        lock.lock();
    }
    changed_.wait_for(lock, stop, gather_for, [&] { return ended_ || buffered_bytes_ >= batch_bytes_max; });
    return !stop.stop_requested() && buffered_bytes_ > 0;
}

/// Takes from the front of the buffer what fits into one request. Neighbours on one stream become one
/// entry.
std::vector<LogEntry> LogShipper::cut_batch() {
    std::vector<LogEntry> batch;
    std::size_t bytes = 0;
    const std::vector<std::int64_t> sizes = std::exchange(position_.pending, {});
    while (!buffer_.empty() && bytes < batch_bytes_max) {
        Piece& piece = buffer_.front();
        const bool repeating = !sizes.empty();
        const std::size_t at = batch.empty() ? 0 : batch.size() - 1;
        const std::size_t entry_max =
            repeating ? static_cast<std::size_t>(sizes[std::min(at, sizes.size() - 1)]) : entry_bytes_max;
        const bool joins =
            !batch.empty() && batch.back().stream == piece.stream && batch.back().data.size() < entry_max;
        if (!joins && batch.size() == (repeating ? sizes.size() : entries_max)) break;
        if (!joins) {
            batch.push_back({piece.stream, piece.unix_ms, {}});
            continue;
        }
        LogEntry& entry = batch.back();
        const std::size_t n = std::min(piece.data.size(), entry_max - entry.data.size());
        entry.data.append(piece.data, 0, n);
        piece.data.erase(0, n);
        bytes += n;
        buffered_bytes_ -= n;
        if (piece.data.empty()) buffer_.pop_front();
    }
    return batch;
}

/// False when the server refused it for good, or on a stop.
bool LogShipper::send_batch(const std::vector<LogEntry>& batch, std::stop_token stop) {
    LogPosition next = position_;
    std::int64_t bytes = 0;
    for (const LogEntry& entry : batch) {
        position_.pending.push_back(static_cast<std::int64_t>(entry.data.size()));
        bytes += static_cast<std::int64_t>(entry.data.size());
    }
    parts_.save(position_);
    next.consumed_bytes += bytes;
    return send_entries(batch, std::move(next), stop);
}

/// Where the log is once the server has them: at `next`.
bool LogShipper::send_entries(const std::vector<LogEntry>& entries, LogPosition next,
                              std::stop_token stop) {
    while (!stop.stop_requested()) {
        try {
            next.next_sequence = parts_.send(position_.next_sequence, entries);
            position_ = next;
            return true;
        } catch (const ServerError& error) {
            if (error.is_final()) {
                spdlog::warn("the server takes no more log of {}: {}", parts_.lease_id, error.what());
                return false;
            }
            spdlog::warn("a piece of the log of {} waits: {}", parts_.lease_id, error.what());
        } catch (const sdk::TransportError& error) {
            spdlog::warn("a piece of the log of {} waits: {}", parts_.lease_id, error.what());
        }
        pause(retry_ms, stop);
    }
    return false;
}

/// A line of the agent's own between the output's entries. Its place in the log is noted before it is sent,
/// so that after a kill no output takes it.
void LogShipper::tell(std::stop_token stop) {
    if (!parts_.notice || !position_.pending.empty()) return;
    const std::optional<TrafficNotice> due = parts_.notice();
    const bool is_repeated = position_.telling_percent != 0;
    if (!is_repeated && (!due || due->percent <= position_.told_percent)) return;
    if (!is_repeated) position_.telling_percent = due->percent;
    parts_.save(position_);
    LogPosition next = position_;
    next.told_percent = std::exchange(next.telling_percent, 0);
    const std::string text = due ? due->text : unknown_notice;
    if (!send_entries({{LogStream::standard_error, parts_.unix_ms(), text}}, next, stop))
        position_.telling_percent = 0;
}

void LogShipper::tell_if_due(std::stop_token stop) {
    if (boot_clock_ms() - asked_boot_ms_ < parts_.notice_every_ms) return;
    tell(stop);
    asked_boot_ms_ = boot_clock_ms();
}

void LogShipper::run_sender(std::stop_token stop) {
    if (position_.telling_percent != 0) tell(stop);
    std::unique_lock lock(mutex_);
    while (wait_for_batch(lock, stop)) {
        const std::vector<LogEntry> batch = cut_batch();
        changed_.notify_all();
        lock.unlock();
        const bool sent = send_batch(batch, stop);
        if (sent) tell_if_due(stop);
        lock.lock();
        if (sent) continue;
        if (stop.stop_requested()) return;
        refused_ = true;
        buffer_.clear();
        buffered_bytes_ = 0;
        changed_.notify_all();
        // Only the end of the container matters from here on.
        changed_.wait(lock, stop, [this] { return ended_; });
    }
    if (stop.stop_requested()) return;
    const bool is_taken = !refused_;
    lock.unlock();
    if (is_taken) tell(stop);
    if (stop.stop_requested()) return;
    parts_.save(position_);
    parts_.on_drained();
}

}  // namespace fallow::agent
