// Moving the bytes of a tunnel: nothing blocks, and each direction waits for room on its own.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>

#include "fallow/tunnel.hpp"

namespace fallow::sdk {
namespace {

constexpr int slice_ms = 250;  // between two looks at the stop token
/// What a pipe takes without blocking once poll has called it writable.
constexpr std::size_t piped_bytes = 4096;
constexpr std::size_t read_bytes = 32 * 1024;
constexpr int receives_max = 16;

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// Bytes written; -1 when it takes none any more. Never blocks on a socket; on anything else only after
/// poll has said that there is room.
ssize_t write_some(int descriptor, std::string_view bytes) {
    while (true) {
        ssize_t count = ::send(descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno == ENOTSOCK)
            count = ::write(descriptor, bytes.data(), std::min(bytes.size(), piped_bytes));
        if (count >= 0) return count;
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) return -1;
    }
}

}  // namespace

FrameLink::FrameLink(Upgraded upgraded) : channel_(std::move(upgraded.channel.value())) {
    reader_.push(upgraded.received);
}

void FrameLink::send(FrameKind kind, std::string_view bytes) {
    do {
        const std::string_view piece = bytes.substr(0, tunnel_payload_bytes_max);
        outgoing_ += encode_frame(kind, piece);
        bytes.remove_prefix(piece.size());
    } while (!bytes.empty());
}

void FrameLink::flush() {
    std::size_t written = 0;
    while (written < outgoing_.size()) {
        const std::size_t count = channel_.write(std::string_view(outgoing_).substr(written, read_bytes));
        if (count == 0) break;
        written += count;
    }
    outgoing_.erase(0, written);
}

FrameLink::Received FrameLink::receive() {
    std::array<char, read_bytes> buffer;
    const auto count = channel_.read(buffer.data(), buffer.size());
    if (!count) return Received::nothing_now;
    if (*count == 0) return Received::end;
    reader_.push({buffer.data(), *count});
    return Received::some;
}

std::optional<Frame> FrameLink::await(std::int64_t timeout_ms) {
    const std::int64_t until = now_ms() + timeout_ms;
    while (true) {
        if (has_outgoing()) flush();
        if (auto frame = next()) return frame;
        const Received received = receive();
        if (received == Received::end) return std::nullopt;
        if (received == Received::some) continue;
        const std::int64_t left = until - now_ms();
        if (left <= 0) return std::nullopt;
        const int events = has_outgoing() ? POLLIN | POLLOUT : POLLIN;
        pollfd waited{descriptor(), static_cast<short>(events), 0};
        ::poll(&waited, 1, static_cast<int>(std::min<std::int64_t>(left, slice_ms)));
    }
}

void FrameLink::drain(std::int64_t timeout_ms) {
    const std::int64_t until = now_ms() + timeout_ms;
    while (has_outgoing() && now_ms() < until) {
        flush();
        pollfd waited{descriptor(), POLLOUT, 0};
        if (has_outgoing()) ::poll(&waited, 1, slice_ms);
    }
}

TunnelLoop::Ended TunnelLoop::run() {
    heard_ms_ = pinged_ms_ = now_ms();
    while (true) {
        if (!write_sinks()) return Ended::by_sink;
        const bool is_link_open = is_over_ || take_frames();
        if (is_over_ && !has_pending()) return Ended::by_handler;
        if (!is_link_open && !has_pending()) return Ended::by_peer;
        if (is_source_ready_ && !is_over_) read_source();
        if (stop.stop_requested()) return Ended::by_stop;
        if (silence_ms_max > 0 && !has_pending() && now_ms() - heard_ms_ > silence_ms_max)
            return Ended::by_silence;
        if (pings && now_ms() - pinged_ms_ >= tunnel_ping_ms && link_.has_room()) {
            link_.send(FrameKind::ping, {});
            pinged_ms_ = now_ms();
        }
        wait(!is_link_idle_ && !has_pending() && !is_over_);
        if (link_.has_outgoing()) link_.flush();
    }
}

bool TunnelLoop::has_pending() const {
    return std::ranges::any_of(sinks, [](const auto& sink) { return !sink.second.pending.empty(); });
}

bool TunnelLoop::handle(const Frame& frame) {
    if (frame.kind == FrameKind::ping) {
        // One that goes unanswered because there is no room is one that finds the tunnel alive.
        if (link_.has_room()) link_.send(FrameKind::pong, {});
        return true;
    }
    if (frame.kind == FrameKind::pong) return true;
    if (const auto sink = sinks.find(frame.kind); sink != sinks.end()) {
        if (sink->second.descriptor >= 0) sink->second.pending += frame.payload;
        return true;
    }
    return on_frame(frame);
}

/// False when nothing more can come. Bounded, so that a flood from there does not hold up what goes there.
bool TunnelLoop::take_frames() {
    for (int received_count = 0; !has_pending() && received_count < receives_max;) {
        if (const auto frame = link_.next()) {
            if (!handle(*frame)) is_over_ = true;
            if (is_over_ || !write_sinks()) return true;
            continue;
        }
        const FrameLink::Received received = link_.receive();
        is_link_idle_ = received == FrameLink::Received::nothing_now;
        if (received == FrameLink::Received::end) return false;
        if (is_link_idle_) return true;
        heard_ms_ = now_ms();
        ++received_count;
    }
    return true;
}

/// Writes what each takes without a wait; false when one takes nothing any more.
bool TunnelLoop::write_sinks() {
    for (auto& [kind, sink] : sinks) {
        while (!sink.pending.empty()) {
            pollfd asked{sink.descriptor, POLLOUT, 0};
            if (::poll(&asked, 1, 0) <= 0) break;
            const ssize_t count = write_some(sink.descriptor, sink.pending);
            if (count == 0) break;
            if (count < 0) {
                if (!sink.may_fail) return false;
                sink.descriptor = -1;
                sink.pending.clear();
                break;
            }
            sink.pending.erase(0, static_cast<std::size_t>(count));
        }
    }
    return true;
}

void TunnelLoop::read_source() {
    is_source_ready_ = false;
    std::array<char, read_bytes> buffer;
    const ssize_t count = ::read(source, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) source = -1;
    on_source(std::string_view(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0));
}

void TunnelLoop::wait(bool at_once) {
    std::vector<pollfd> waited;
    const int link_events = (has_pending() || is_over_ ? 0 : POLLIN) | (link_.has_outgoing() ? POLLOUT : 0);
    waited.push_back({link_events == 0 ? -1 : link_.descriptor(), static_cast<short>(link_events), 0});
    waited.push_back({link_.has_room() && !is_over_ ? source : -1, POLLIN, 0});
    waited.push_back({watched, POLLIN, 0});
    for (const auto& [kind, sink] : sinks)
        if (!sink.pending.empty()) waited.push_back({sink.descriptor, POLLOUT, 0});
    if (::poll(waited.data(), waited.size(), at_once ? 0 : slice_ms) <= 0) return;
    is_source_ready_ = waited[1].revents != 0;
    if (waited[2].revents != 0 && on_watched) on_watched();
}

void join_socket(TunnelLoop& loop, FrameLink& link, int socket, FrameKind given, FrameKind taken) {
    loop.source = socket;
    loop.sinks[taken] = {.descriptor = socket, .may_fail = true};
    const auto has_peer_ended = std::make_shared<bool>(false);
    loop.on_source = [&loop, &link, given, has_peer_ended](std::string_view bytes) {
        if (!bytes.empty()) return link.send(given, bytes);
        link.send(FrameKind::end, {});
        if (*has_peer_ended) loop.finish();
    };
    loop.on_frame = [&loop, socket, has_peer_ended](const Frame& frame) {
        if (frame.kind != FrameKind::end) return true;
        *has_peer_ended = true;
        ::shutdown(socket, SHUT_WR);
        return loop.source >= 0;
    };
}

}  // namespace fallow::sdk
