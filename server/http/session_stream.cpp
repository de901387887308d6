// The part of a session that sends a ByteStream: chunked, pulled, with heartbeats.
#include <exception>

#include "http/reply_writer.hpp"
#include "http/session.hpp"
#include "http/short_stream.hpp"

namespace fallow::http {
namespace {

namespace asio = boost::asio;

constexpr std::string_view heartbeat = ": heartbeat\n\n";

}  // namespace

asio::awaitable<bool> Session::send_stream() {
    // A stream may last for hours; the connection it used is not worth keeping for a next request.
    const bool is_short = dynamic_cast<const ShortStream*>(exchange_.reply.stream.get()) != nullptr;
    if (!is_short) exchange_.keeps_alive = false;
    write_head_of_reply();
    const bool has_body = exchange_.record.method != "HEAD" && may_have_body(exchange_.reply.status);
    const IoOutcome outcome = co_await connection_->write(out_);
    exchange_.record.bytes_out = out_.size();
    if (outcome == IoOutcome::done && has_body) {
        if (!is_short) connection_->watch_for_disconnect();
        bool goes_on = true;
        while (goes_on)
            goes_on = co_await pump_stream();
        if (!is_short && !connection_->is_gone()) co_await connection_->stop_watching();
    } else {
        cancel_stream();
    }
    co_return exchange_.keeps_alive && !connection_->is_gone();
}

/// Sends one item, or the end; true when more may follow.
asio::awaitable<bool> Session::pump_stream() {
    request_stream_item();
    const bool has_item = co_await await_stream_item();
    std::optional<std::optional<std::string>> item = stream_item_->close();
    if (!has_item || connection_->is_gone()) {
        cancel_stream();
        co_return false;
    }
    out_.clear();
    const bool is_end = !item || !*item;
    if (!is_end) append_chunk(out_, (*item)->empty() ? heartbeat : std::string_view(**item));
    // A stream that was cancelled because the server drains has said its last, whatever it was.
    const bool is_last = is_end || exchange_.is_stream_cancelled;
    if (is_last) out_ += last_chunk;
    exchange_.record.bytes_out += out_.size();
    const IoOutcome outcome = co_await connection_->write(out_);
    if (outcome != IoOutcome::done && !is_end) cancel_stream();
    co_return outcome == IoOutcome::done && !is_last;
}

/// True when the stream has answered, false when the reader has gone. Heartbeats go out meanwhile.
asio::awaitable<bool> Session::await_stream_item() {
    const std::int64_t heartbeat_ms = context_.config.limits.stream_heartbeat_ms;
    auto heartbeat_at = Clock::now() + std::chrono::milliseconds(heartbeat_ms);
    while (!connection_->is_gone()) {
        if (stream_item_->has_item()) co_return true;
        if (context_.is_draining) cancel_stream();
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(heartbeat_at - Clock::now());
        if (left.count() > 0) {
            co_await connection_->wait(left.count());
            continue;
        }
        out_.clear();
        append_chunk(out_, heartbeat);
        exchange_.record.bytes_out += out_.size();
        const IoOutcome outcome = co_await connection_->write(out_);
        if (outcome != IoOutcome::done) co_return false;
        heartbeat_at = Clock::now() + std::chrono::milliseconds(heartbeat_ms);
    }
    co_return false;
}

void Session::request_stream_item() {
    Connection* const connection = connection_.get();
    stream_item_ = std::make_shared<StreamMailbox>([connection] { connection->wake(); });
    const auto promise = std::make_shared<Promise<std::optional<std::string>>>(stream_item_, std::nullopt);
    try {
        exchange_.reply.stream->next(
            [promise](std::optional<std::string> item) { promise->keep(std::move(item)); });
        return;
    } catch (const std::exception& escaped) {
        report_internal(escaped.what());
    } catch (...) {
        report_internal("A stream threw something that is no std::exception.");
    }
    // Without its last chunk the reader can tell that the stream broke off.
    cancel_stream();
    connection_->cut();
}

void Session::cancel_stream() {
    if (!exchange_.reply.stream || exchange_.is_stream_cancelled) return;
    exchange_.is_stream_cancelled = true;
    try {
        exchange_.reply.stream->cancel();
    } catch (const std::exception& escaped) {
        report_internal(escaped.what());
    } catch (...) {
        report_internal("A stream threw something that is no std::exception.");
    }
}

}  // namespace fallow::http
