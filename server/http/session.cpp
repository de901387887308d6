#include "http/session.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <exception>

#include "http/chunk_decoder.hpp"
#include "http/problem.hpp"
#include "http/reply_writer.hpp"
#include "http/tls.hpp"
#include "http/tunnel_pipe.hpp"

namespace fallow::http {
namespace {

namespace asio = boost::asio;

constexpr std::string_view continue_head = "HTTP/1.1 100 Continue\r\n\r\n";
// Larger bodies are written on their own rather than copied behind their head.
constexpr std::size_t joined_body_bytes_max = 64 * 1024;

HeadLimits head_limits_of(const ServerLimits& limits) {
    return {limits.header_bytes_max, limits.header_count_max, limits.target_bytes_max};
}

Error failed() {
    return refuse(ErrorCode::internal,
                  "The request could not be carried out; its request_id names it to the operator.");
}

/// What a read that did not happen means for the request. Nobody is left to read the refusal when the peer
/// is gone.
std::optional<Error> refusal_of(IoOutcome outcome, const char* part) {
    if (outcome == IoOutcome::done) return std::nullopt;
    return refuse(ErrorCode::request_timeout, fmt::format("The {} did not arrive in time.", part));
}

}  // namespace

Session::Session(std::shared_ptr<Connection> connection, SessionContext context, bool is_over_cap)
    : connection_(std::move(connection)),
      context_(context),
      is_over_cap_(is_over_cap),
      request_ids_(random_seed()) {}

void Session::start(HandshakeGate::Place place, std::function<void()> ended) {
    handshake_place_ = std::move(place);
    const auto on_end = [self = shared_from_this(), done = std::move(ended)](std::exception_ptr escaped) {
        if (escaped) {
            self->report_internal("An exception ended a connection.");
            self->abandon();
        }
        done();
    };
    asio::co_spawn(connection_->executor(), run(), on_end);
}

/// After an exception, which here can only be a lack of memory: nobody may wake a connection that is about
/// to go.
void Session::abandon() noexcept {
    if (answer_) (void)answer_->close();
    if (stream_item_) (void)stream_item_->close();
    cancel_stream();
    connection_->cut();
}

void Session::drain() {
    asio::post(connection_->executor(), [self = shared_from_this()] {
        if (self->is_idle_)
            self->connection_->set_deadline(self->context_.config.limits.drain_grace_ms);
        else
            self->connection_->wake();
    });
}

void Session::cut() {
    asio::post(connection_->executor(), [self = shared_from_this()] { self->connection_->cut(); });
}

asio::awaitable<void> Session::run() {
    if (!context_.is_draining) connection_->set_deadline(context_.config.limits.handshake_timeout_ms);
    const IoOutcome handshake = co_await connection_->handshake();
    handshake_place_.reset();
    bool goes_on = handshake == IoOutcome::done;
    if (goes_on) certificate_ = peer_certificate(connection_->native_tls());
    while (goes_on) {
        goes_on = co_await await_first_byte();
        if (goes_on) goes_on = co_await exchange();
    }
    co_await connection_->close_lingering();
}

asio::awaitable<bool> Session::await_first_byte() {
    if (!connection_->input().empty()) co_return !context_.is_draining;
    is_idle_ = true;
    if (guest_) {
        connection_->set_deadline(guest_link_idle_ms);
        const IoOutcome early = co_await connection_->read_more();
        is_idle_ = early != IoOutcome::done;
        if (early != IoOutcome::timed_out) co_return early == IoOutcome::done;
        guest_.reset();
    }
    connection_->set_deadline(context_.is_draining ? context_.config.limits.drain_grace_ms
                                                   : context_.config.limits.idle_timeout_ms);
    const IoOutcome outcome = co_await connection_->read_more();
    is_idle_ = false;
    co_return outcome == IoOutcome::done;
}

asio::awaitable<bool> Session::exchange() {
    begin_exchange();
    std::optional<Error> refusal = co_await receive_head();
    if (!refusal && is_over_cap_)
        refusal = refuse(ErrorCode::queue_full, "The server has as many connections as it takes.");
    if (!refusal) {
        make_request();
        refusal = ask_for_limit();
        // A refused request whose body is already here costs nothing to skip, and the connection lives on.
        if (refusal && skip_buffered_body()) {
            exchange_.reply = problem(*refusal, exchange_.record.request_id);
            co_return co_await send_reply();
        }
    }
    if (!refusal && !exchange_.limit.is_relayed) refusal = co_await receive_body();
    if (refusal)
        refuse_exchange(*refusal);
    else
        co_await ask_service();
    leave_relayed_body();
    co_return co_await send_reply();
}

void Session::begin_exchange() {
    exchange_ = Exchange{};
    exchange_.record.request_id = RequestId(request_ids_.next()).text();
    exchange_.record.remote_address = connection_->remote_address();
    exchange_.head_complete = Clock::now();
}

asio::awaitable<std::optional<Error>> Session::receive_head() {
    const ServerLimits& limits = context_.config.limits;
    HeadScanner scanner(head_limits_of(limits));
    connection_->set_deadline(limits.header_timeout_ms);
    while (true) {
        const Result<std::size_t> size = scanner.scan(connection_->input());
        if (!size) co_return size.error();
        if (*size > 0) {
            Result<RequestHead> head =
                parse_head(connection_->input().substr(0, *size), head_limits_of(limits));
            exchange_.record.bytes_in = *size;
            exchange_.head_complete = Clock::now();
            connection_->consume(*size);
            connection_->clear_deadline();
            if (!head) co_return head.error();
            exchange_.head = std::move(*head);
            co_return std::nullopt;
        }
        const IoOutcome outcome = co_await connection_->read_more();
        if (outcome != IoOutcome::done) co_return refusal_of(outcome, "head");
    }
}

void Session::make_request() {
    Request& request = exchange_.request;
    RequestHead& head = exchange_.head;
    request.method = head.method;
    request.target = std::move(head.target);
    request.path = std::move(head.path);
    request.query = std::move(head.query);
    request.headers = std::move(head.headers);
    request.request_id = exchange_.record.request_id;
    request.remote_address = exchange_.record.remote_address;
    request.certificate = certificate_;
    if (guest_ && guest_->is_quiet()) request.kept = guest_;
    guest_.reset();
    exchange_.keeps_alive = head.keeps_alive;
    exchange_.record.method = name_of(request.method);
    if (!context_.config.on_access) return;
    exchange_.record.path = request.path;
    if (const std::string* agent = request.header("user-agent")) exchange_.record.user_agent = *agent;
    if (const std::string* parent = request.header("traceparent")) exchange_.record.traceparent = *parent;
}

std::optional<Error> Session::ask_for_limit() {
    try {
        Result<BodyLimit> limit = context_.service.on_head(exchange_.request);
        if (!limit) return limit.error();
        exchange_.limit = std::move(*limit);
    } catch (const std::exception& escaped) {
        report_internal(escaped.what());
        return failed();
    } catch (...) {
        report_internal("on_head threw something that is no std::exception.");
        return failed();
    }
    const BodyLimit& limit = exchange_.limit;
    if (exchange_.head.content_length.value_or(0) > limit.bytes_max)
        return refuse(ErrorCode::body_too_large,
                      fmt::format("This route takes bodies of up to {} bytes.", limit.bytes_max));
    if (limit.is_dropped && exchange_.head.is_chunked)
        return refuse(ErrorCode::length_required, "This route needs a Content-Length.");
    return std::nullopt;
}

bool Session::skip_buffered_body() {
    const std::uint64_t length = exchange_.head.content_length.value_or(0);
    if (exchange_.head.is_chunked || length > connection_->input().size()) return false;
    connection_->consume(static_cast<std::size_t>(length));
    exchange_.record.bytes_in += static_cast<std::size_t>(length);
    return true;
}

asio::awaitable<std::optional<Error>> Session::receive_body() {
    const RequestHead& head = exchange_.head;
    if (!head.is_chunked && head.content_length.value_or(0) == 0) co_return std::nullopt;
    if (head.expects_continue && connection_->input().empty()) {
        const IoOutcome outcome = co_await connection_->write(continue_head);
        if (outcome != IoOutcome::done) co_return refusal_of(outcome, "body");
    }
    if (head.is_chunked) co_return co_await receive_chunked_body();
    co_return co_await receive_sized_body();
}

asio::awaitable<std::optional<Error>> Session::receive_sized_body() {
    std::size_t& received = exchange_.body_bytes;
    const auto length = static_cast<std::size_t>(exchange_.head.content_length.value_or(0));
    const std::size_t head_bytes = exchange_.record.bytes_in;
    while (true) {
        const std::string_view piece = connection_->input().substr(0, length - received);
        if (!exchange_.limit.is_dropped) exchange_.request.body += piece;
        received += piece.size();
        connection_->consume(piece.size());
        exchange_.record.bytes_in = head_bytes + received;
        if (received == length) co_return std::nullopt;
        std::optional<Error> refusal = co_await read_body_bytes();
        if (refusal) co_return refusal;
    }
}

asio::awaitable<std::optional<Error>> Session::receive_chunked_body() {
    ChunkDecoder decoder(exchange_.limit.bytes_max);
    while (true) {
        const Result<std::size_t> used = decoder.feed(connection_->input(), exchange_.request.body);
        if (!used) co_return used.error();
        connection_->consume(*used);
        exchange_.record.bytes_in += *used;
        exchange_.body_bytes = exchange_.request.body.size();
        if (decoder.is_complete()) co_return std::nullopt;
        std::optional<Error> refusal = co_await read_body_bytes();
        if (refusal) co_return refusal;
    }
}

/// Reads on, with a deadline that moves with what has arrived: a first grace, then a least rate; and one
/// that does not, where the service has set one.
asio::awaitable<std::optional<Error>> Session::read_body_bytes() {
    const ServerLimits& limits = context_.config.limits;
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - exchange_.head_complete);
    const auto earned_ms = static_cast<std::int64_t>(exchange_.body_bytes * 1000 /
                                                     std::max<std::size_t>(1, limits.body_bytes_per_s_min));
    std::int64_t allowed_ms = limits.header_timeout_ms + earned_ms;
    if (exchange_.limit.body_ms_max > 0) allowed_ms = std::min(allowed_ms, exchange_.limit.body_ms_max);
    connection_->set_deadline(std::max<std::int64_t>(0, allowed_ms - elapsed.count()));
    const IoOutcome outcome = co_await connection_->read_more();
    connection_->clear_deadline();
    co_return refusal_of(outcome, "body");
}

asio::awaitable<void> Session::ask_service() {
    start_handling();
    while (!answer_->has_item() && !connection_->is_gone())
        co_await connection_->wait(-1);
    std::optional<std::optional<Reply>> answer = answer_->close();
    if (!answer) co_return;
    if (*answer) {
        exchange_.reply = std::move(**answer);
    } else {
        report_internal("A request was dropped without a reply.");
        exchange_.reply = problem(failed(), exchange_.record.request_id);
    }
}

void Session::start_handling() {
    Connection* const connection = connection_.get();
    answer_ = std::make_shared<ReplyMailbox>([connection] { connection->wake(); });
    const auto promise = std::make_shared<Promise<std::optional<Reply>>>(answer_, std::nullopt);
    try {
        context_.service.handle(std::move(exchange_.request),
                                [promise](Reply reply) { promise->keep(std::move(reply)); });
        return;
    } catch (const std::exception& escaped) {
        report_internal(escaped.what());
    } catch (...) {
        report_internal("handle threw something that is no std::exception.");
    }
    promise->keep(problem(failed(), exchange_.record.request_id));
}

void Session::refuse_exchange(const Error& error) {
    // Where the next request would begin is not known any more.
    exchange_.keeps_alive = false;
    exchange_.reply = problem(error, exchange_.record.request_id);
}

asio::awaitable<bool> Session::send_reply() {
    if (connection_->is_gone()) {
        cancel_stream();
        co_return false;
    }
    if (!is_sendable(exchange_.reply)) {
        report_internal("A reply has a status or a header that cannot be sent.");
        cancel_stream();
        exchange_.reply = problem(failed(), exchange_.record.request_id);
    }
    if (context_.is_draining) exchange_.keeps_alive = false;
    bool goes_on = false;
    if (tunnel_of(exchange_.reply))
        goes_on = co_await send_tunnel();
    else if (guest_of(exchange_.reply))
        goes_on = co_await send_relayed();
    else if (exchange_.reply.stream)
        goes_on = co_await send_stream();
    else
        goes_on = co_await send_plain_reply();
    finish_exchange();
    co_return goes_on;
}

void Session::write_head_of_reply() {
    ReplyFrame frame;
    frame.request_id = exchange_.record.request_id;
    frame.keeps_alive = exchange_.keeps_alive;
    frame.is_chunked = exchange_.reply.stream != nullptr;
    out_.clear();
    append_head(out_, exchange_.reply, frame);
}

asio::awaitable<bool> Session::send_plain_reply() {
    const std::string& body = exchange_.reply.body;
    connection_->keep_resumable();
    write_head_of_reply();
    const bool has_body = exchange_.record.method != "HEAD" && may_have_body(exchange_.reply.status);
    const bool is_joined = body.size() <= joined_body_bytes_max;
    if (has_body && is_joined) out_ += body;
    IoOutcome outcome = co_await connection_->write(out_);
    exchange_.record.bytes_out = out_.size();
    if (has_body && !is_joined && outcome == IoOutcome::done) {
        outcome = co_await connection_->write(body);
        exchange_.record.bytes_out += body.size();
    }
    co_return outcome == IoOutcome::done&& exchange_.keeps_alive;
}

void Session::finish_exchange() {
    AccessRecord& record = exchange_.record;
    record.status = exchange_.reply.status;
    record.is_relayed = exchange_.limit.is_relayed;
    exchange_.reply = Reply{};  // an idle connection holds no body
    exchange_.limit = BodyLimit{};
    if (!context_.config.on_access) return;
    record.duration_us =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - exchange_.head_complete)
            .count();
    try {
        context_.config.on_access(record);
    } catch (const std::exception& escaped) {
        report_internal(escaped.what());
    }
}

void Session::report_internal(std::string_view message) const {
    if (context_.config.on_internal_error) context_.config.on_internal_error(message);
}

}  // namespace fallow::http
