#include "api/polled_stream.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace fallow::api {
namespace {

/// Nobody publishes to it: waiting on it is waiting for its deadline.
constexpr auto quiet_topic = "quiet";

constexpr int reads_at_once = 8;

}  // namespace

PolledStream::PolledStream(Services& services, std::string topic,
                           std::unique_ptr<StreamLimits::Place> place, Millis pause,
                           std::optional<Millis> refresh)
    : services_(services),
      topic_(std::move(topic)),
      place_(std::move(place)),
      pause_(pause),
      refresh_(refresh) {}

void PolledStream::next(std::function<void(std::optional<std::string>)> ready) {
    {
        const std::lock_guard lock(mutex_);
        FALLOW_ASSERT(!ready_);
        ready_ = std::move(ready);
    }
    if (is_cancelled_ || is_ended_) return deliver(std::nullopt);
    heartbeat_at_ =
        engine::Hub::Clock::now() + std::chrono::milliseconds(services_.config.stream_heartbeat_ms);
    if (std::exchange(has_read_all_, false)) return wait(seen_);
    start_read();
}

void PolledStream::cancel() {
    std::optional<engine::Hub::Ticket> ticket;
    {
        const std::lock_guard lock(mutex_);
        is_cancelled_ = true;
        ticket = ticket_;
    }
    if (ticket) services_.hub.cancel(*ticket);
    deliver(std::nullopt);
}

void PolledStream::start_read() {
    // Taken before the rows are read, so that a change in between is seen by the wait that follows.
    const std::uint64_t seen = services_.hub.version(topic_);
    const bool queued =
        services_.workers.submit([self = shared_from_this(), seen](store::Connection& connection) {
            self->read_on(connection, seen);
        });
    if (!queued) wait(seen);
}

void PolledStream::read_on(store::Connection& connection, std::uint64_t seen) {
    Chunk chunk;
    try {
        chunk = read(connection);
    } catch (const std::exception& error) {
        services_.log.error("event stream ended", {{"error", error.what()}});
        chunk.is_end = true;
    }
    if (chunk.is_end) is_ended_ = true;
    if (!chunk.text.empty()) {
        seen_ = seen;
        has_read_all_ = chunk.is_all;
        return deliver(std::move(chunk.text));
    }
    if (chunk.is_end) return deliver(std::nullopt);
    wait(seen);
}

void PolledStream::wait(std::uint64_t seen) {
    seen_ = seen;
    // The generic cell rate algorithm (ITU-T I.371): each read takes a pause, some of them in advance.
    const auto now = engine::Hub::Clock::now();
    const std::chrono::milliseconds pause(pause_.count);
    paused_until_ = std::max(paused_until_, now) + pause;
    const auto over =
        std::chrono::ceil<std::chrono::milliseconds>(paused_until_ - now) - reads_at_once * pause;
    if (over.count() > 0)
        wait_on(quiet_topic, services_.hub.version(quiet_topic), Millis(over.count()),
                &PolledStream::after_pause);
    else
        after_pause(false);
}

void PolledStream::after_pause(bool) {
    wait_on(topic_, seen_, refresh_.value_or(Millis(services_.config.stream_heartbeat_ms)),
            &PolledStream::after_wait);
}

void PolledStream::after_wait(bool changed) {
    if (changed || (refresh_ && engine::Hub::Clock::now() < heartbeat_at_)) return start_read();
    deliver(std::string());  // a heartbeat
}

void PolledStream::wait_on(const std::string& topic, std::uint64_t seen, Millis span,
                           void (PolledStream::*then)(bool)) {
    const auto deadline = engine::Hub::Clock::now() + std::chrono::milliseconds(span.count);
    const auto ticket =
        services_.hub.wait(topic, seen, deadline, [self = shared_from_this(), then](bool changed) {
            if (self->is_cancelled_ || self->services_.draining.load()) return self->deliver(std::nullopt);
            (self.get()->*then)(changed);
        });
    bool was_cancelled = false;
    {
        const std::lock_guard lock(mutex_);
        ticket_ = ticket;
        was_cancelled = is_cancelled_;
    }
    if (was_cancelled) services_.hub.cancel(ticket);
}

void PolledStream::deliver(std::optional<std::string> text) {
    Ready ready;
    {
        const std::lock_guard lock(mutex_);
        ready = std::exchange(ready_, nullptr);
    }
    if (ready) ready(std::move(text));
}

std::string server_sent_event(std::string_view id, std::string_view type, std::string_view data) {
    std::string event;
    event.reserve(id.size() + type.size() + data.size() + 32);
    if (!id.empty()) event.append("id: ").append(id).append("\n");
    event.append("event: ").append(type).append("\ndata: ").append(data).append("\n\n");
    return event;
}

http::Reply stream_reply(std::shared_ptr<http::ByteStream> stream) {
    http::Reply reply;
    reply.content_type = "text/event-stream";
    reply.headers.emplace_back("Cache-Control", "no-store");
    reply.stream = std::move(stream);
    return reply;
}

Error too_many_streams() {
    return refuse(ErrorCode::rate_limited,
                  "The organization has too many event streams open; close one first.");
}

}  // namespace fallow::api
