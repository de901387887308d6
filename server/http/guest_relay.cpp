#include "http/guest_relay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "http/reply_writer.hpp"

namespace fallow::http {
namespace {

namespace asio = boost::asio;

constexpr std::int64_t look_ms = 5'000;  // at the limits
constexpr int takes_max = 64;            // before others have their turn
constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();
constexpr std::string_view continue_head = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

GuestRelay::GuestRelay(std::shared_ptr<Connection> connection, std::shared_ptr<GuestLink> link,
                       RelayedBody body, bool keeps_alive, const GuestLimits& limits,
                       const std::atomic<bool>& is_stopping)
    : connection_(std::move(connection)),
      link_(std::move(link)),
      keeps_alive_(keeps_alive),
      limits_(limits),
      is_stopping_(is_stopping),
      body_left_(body.length.value_or(0)),
      begun_at_(Clock::now()),
      moved_at_(begun_at_),
      pinged_at_(begun_at_) {
    if (body.is_chunked) chunks_.emplace(no_limit);
    owes_continue_ = body.expects_continue && has_body_left();
    reply_.emplace(link_->call.is_head);
}

asio::awaitable<void> GuestRelay::run() {
    Connection* const connection = connection_.get();
    link_->end().on_change([connection] { connection->wake(); });
    connection_->clear_deadline();
    if (link_->is_opened)
        send_head();
    else
        ask_to_open();
    while (move())
        co_await connection_->wait(look_ms);
    link_->end().on_change({});
    if (!keeps_link()) link_->end().close();
    co_await connection_->stop_transfers();
}

bool GuestRelay::keeps_connection() const {
    return stage_ == Stage::complete && keeps_alive_ && !framing_.is_websocket && !has_body_left() &&
           !is_stopping_;
}

bool GuestRelay::keeps_link() const {
    return stage_ == Stage::complete && is_reusable_ && !has_guest_ended_ && !has_body_left() &&
           from_guest_.empty() && to_guest_.empty();
}

bool GuestRelay::has_body_left() const {
    return chunks_ ? !chunks_->is_complete() : body_left_ > 0;
}

bool GuestRelay::is_over() const {
    if (stage_ == Stage::failed || connection_->is_gone()) return true;
    return stage_ == Stage::complete && to_client_.empty() && !connection_->is_sending();
}

std::int64_t GuestRelay::ms_since(Clock::time_point moment) const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - moment).count();
}

/// Does what can be done now; false when the exchange is over.
bool GuestRelay::move() {
    take_from_guest();
    take_from_client();
    keep_alive();
    flush();
    check_limits();
    return !is_over();
}

void GuestRelay::ask_to_open() {
    append_guest_frames(to_guest_, GuestFrameKind::open,
                        fmt::format(R"({{"kind":"port","port":{}}})", link_->port()));
}

void GuestRelay::send_head() {
    give(link_->call.head);
    stage_ = Stage::head;
}

void GuestRelay::give(std::string_view bytes) {
    append_guest_frames(to_guest_, GuestFrameKind::input, bytes);
}

void GuestRelay::take_from_guest() {
    TunnelEnd& end = link_->end();
    const bool was_closed = end.is_closed();
    int takes = 0;
    while (!is_settled() && to_client_.size() < guest_buffer_bytes_max) {
        if (const auto frame = link_->frames().next()) {
            take_frame(*frame);
            continue;
        }
        if (link_->frames().is_broken())
            return fail(ErrorCode::app_failed, "The job's host sent something that is no tunnel's.");
        if (takes++ == takes_max) return connection_->wake();
        const std::string bytes = end.take();
        if (bytes.empty()) {
            if (was_closed) end_by_guest();
            return;
        }
        link_->frames().push(bytes);
    }
}

void GuestRelay::take_frame(const GuestFrame& frame) {
    if (frame.kind == GuestFrameKind::ping && to_guest_.size() < guest_buffer_bytes_max)
        return append_guest_frames(to_guest_, GuestFrameKind::pong, {});
    if (frame.kind == GuestFrameKind::refused)
        return fail(ErrorCode::app_failed,
                    fmt::format("The job's host says: {}.", frame.payload.substr(0, 1024)));
    if (frame.kind == GuestFrameKind::opened && stage_ == Stage::opening) {
        link_->is_opened = true;
        moved_at_ = Clock::now();
        return send_head();
    }
    if (stage_ == Stage::opening) return;
    if (frame.kind == GuestFrameKind::output) return take_output(frame.payload);
    if (frame.kind != GuestFrameKind::end) return;
    has_guest_ended_ = true;
    end_by_guest();
}

void GuestRelay::take_output(std::string_view bytes) {
    moved_at_ = Clock::now();
    if (stage_ == Stage::websocket) {
        to_client_ += bytes;
        return;
    }
    from_guest_ += bytes;
    read_reply();
}

void GuestRelay::read_reply() {
    while (stage_ == Stage::head || stage_ == Stage::body) {
        std::string body;
        if (const Status good = reply_->feed(from_guest_, body); !good)
            return fail_not_http(good.error().detail);
        if (stage_ == Stage::head) {
            if (!reply_->has_head()) return;
            if (!take_head()) continue;
        }
        if (!body.empty() && framing_.is_chunked)
            append_chunk(to_client_, body);
        else
            to_client_ += body;
        if (!reply_->is_done()) return;
        end_reply();
    }
}

bool GuestRelay::take_head() {
    const int status = reply_->status();
    const bool is_interim = status >= 100 && status < 200 && status != 101;
    if (is_interim) {
        // The client has been told to go on by us, where it asked.
        if (++interim_replies_ > guest_interim_replies_max)
            fail_not_http("it does not come to its reply");
        else
            reply_.emplace(link_->call.is_head);
        return false;
    }
    const Result<Fields> headers = passed_reply_headers(reply_->headers());
    const bool is_good = (status == 101) == link_->call.is_websocket || status >= 200;
    if (!headers || !is_good || status < 101 || status > 599) {
        fail_not_http(headers ? fmt::format("its status is {}", status) : headers.error().detail);
        return false;
    }
    status_ = status;
    begin_reply(*headers);
    return stage_ == Stage::body;
}

void GuestRelay::begin_reply(const Fields& headers) {
    framing_.keeps_alive = keeps_alive_ && !is_stopping_;
    framing_.is_websocket = status_ == 101;
    const bool has_body = !framing_.is_websocket && !link_->call.is_head && may_have_body(status_);
    const bool may_state_length = has_body || link_->call.is_head || status_ == 304;
    if (may_state_length) framing_.length = reply_->content_length();
    framing_.is_chunked = has_body && !framing_.length;
    to_client_ += relayed_reply_head(status_, headers, framing_);
    has_begun_reply_ = true;
    stage_ = Stage::body;
    if (!framing_.is_websocket) return;
    stage_ = Stage::websocket;
    to_client_ += std::exchange(from_guest_, {});
}

void GuestRelay::end_reply() {
    if (framing_.is_chunked) to_client_ += last_chunk;
    is_reusable_ = reply_->keeps_alive();
    stage_ = Stage::complete;
}

/// Nothing more will come from there.
void GuestRelay::end_by_guest() {
    if (stage_ == Stage::websocket) {
        stage_ = Stage::complete;
        return;
    }
    // A tunnel that was cut says nothing of where a reply would have ended.
    if (!has_guest_ended_)
        return fail(ErrorCode::app_failed,
                    "The connection to the job has ended: it may have ended itself, or its host was lost.");
    if (const Status good = reply_->finish(); !good) return fail_not_http(good.error().detail);
    if (reply_->is_done()) end_reply();
}

void GuestRelay::take_from_client() {
    const bool has_room = to_guest_.size() < guest_buffer_bytes_max;
    if (stage_ == Stage::websocket && has_room && !connection_->input().empty()) {
        const std::size_t count = connection_->input().size();
        give(connection_->input());
        connection_->consume(count);
        bytes_in_ += count;
        moved_at_ = Clock::now();
    } else if (stage_ == Stage::head || stage_ == Stage::body) {
        if (has_room && has_body_left()) take_body();
    }
    if (connection_->input().empty() && !connection_->is_gone() && !is_settled())
        connection_->begin_receive();
}

void GuestRelay::take_body() {
    const std::string_view input = connection_->input();
    if (std::exchange(owes_continue_, false) && input.empty() && !has_begun_reply_)
        to_client_ += continue_head;
    if (input.empty()) return;
    moved_at_ = Clock::now();
    if (!chunks_) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, input.size()));
        give(input.substr(0, count));
        body_left_ -= count;
        bytes_in_ += count;
        return connection_->consume(count);
    }
    std::string body;
    const Result<std::size_t> used = chunks_->feed(input, body);
    if (!used) return fail(used.error().code, used.error().detail);
    connection_->consume(*used);
    bytes_in_ += *used;
    std::string chunk;
    if (!body.empty()) append_chunk(chunk, body);
    if (chunks_->is_complete()) chunk += last_chunk;
    if (!chunk.empty()) give(chunk);
}

void GuestRelay::keep_alive() {
    if (is_stopping_ && stage_ == Stage::websocket) stage_ = Stage::complete;
    if (ms_since(pinged_at_) < guest_ping_ms || to_guest_.size() >= guest_buffer_bytes_max) return;
    append_guest_frames(to_guest_, GuestFrameKind::ping, {});
    pinged_at_ = Clock::now();
}

void GuestRelay::flush() {
    if (!to_guest_.empty()) to_guest_.erase(0, link_->end().write(to_guest_));
    if (to_client_.empty() || connection_->is_sending() || connection_->is_gone()) return;
    bytes_out_ += to_client_.size();
    moved_at_ = Clock::now();
    connection_->begin_send(std::exchange(to_client_, {}));
}

void GuestRelay::check_limits() {
    if (is_settled() && to_client_.empty() && !connection_->is_sending()) return;
    const std::int64_t idle_ms_max = stage_ == Stage::opening ? limits_.open_ms_max : limits_.idle_ms_max;
    if (ms_since(moved_at_) < idle_ms_max && ms_since(begun_at_) < limits_.total_ms_max) return;
    fail(ErrorCode::app_failed, stage_ == Stage::opening
                                    ? "The job's host did not open the port in time."
                                    : "The program in the job did not answer in time.");
}

/// Without a beginning the client is told why; with one it sees that the reply has no end.
void GuestRelay::fail(ErrorCode code, std::string detail) {
    if (!has_begun_reply_) refusal_ = refuse(code, std::move(detail));
    stage_ = Stage::failed;
}

void GuestRelay::fail_not_http(const std::string& why) {
    fail(ErrorCode::app_failed,
         fmt::format("What answers at port {} of the job speaks no HTTP/1.1: {}.", link_->port(), why));
}

}  // namespace fallow::http
