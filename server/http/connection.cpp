#include "http/connection.hpp"

#include <poll.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>

#include "http/ticket_keys.hpp"

namespace fallow::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t read_bytes = 16 * 1024;  // one TLS record
constexpr std::size_t write_slice_bytes = 64 * 1024;
constexpr std::size_t watched_bytes_max = 64 * 1024;
constexpr std::int64_t cancel_again_ms = 50;
constexpr std::chrono::seconds ticket_renewal{ticket_seconds_max / 2};

std::string address_of(const asio::ip::tcp::socket& socket) {
    error_code error;
    const auto endpoint = socket.remote_endpoint(error);
    if (error) return {};
    const asio::ip::address address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    return address.to_string();
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, asio::ssl::context& tls, const ServerLimits& limits)
    : limits_(limits),
      stream_(std::move(socket), tls.native_handle()),
      deadline_timer_(stream_.get_executor()),
      signal_timer_(stream_.get_executor()),
      remote_address_(address_of(stream_.next_layer())) {
    error_code ignored;
    stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
}

void Connection::set_deadline(std::int64_t from_now_ms) {
    is_expired_ = false;
    deadline_ = Clock::now() + std::chrono::milliseconds(from_now_ms);
    // A timer that rings too early only looks again; moving it for every request would cost more.
    if (deadline_ < armed_for_) arm_deadline(deadline_);
}

void Connection::clear_deadline() {
    is_expired_ = false;
    deadline_ = Clock::time_point::max();
}

void Connection::arm_deadline(Clock::time_point when) {
    armed_for_ = when;
    deadline_timer_.expires_at(when);
    deadline_timer_.async_wait([self = shared_from_this()](const error_code& error) {
        if (!error) self->on_deadline_timer();
    });
}

void Connection::on_deadline_timer() {
    armed_for_ = Clock::time_point::max();
    if (is_cut_ || deadline_ == Clock::time_point::max()) return;
    const Clock::time_point now = Clock::now();
    if (now < deadline_) return arm_deadline(deadline_);
    is_expired_ = true;
    error_code ignored;
    stream_.next_layer().cancel(ignored);
    // A TLS operation is several socket operations; a cancel that falls between two of them finds none. So
    // it is repeated until whoever waits has moved the deadline.
    arm_deadline(now + std::chrono::milliseconds(cancel_again_ms));
}

IoOutcome Connection::outcome_of(const error_code& error) {
    if (!error) return IoOutcome::done;
    if (error == asio::error::operation_aborted && is_expired_ && !is_cut_) return IoOutcome::timed_out;
    is_gone_ = true;
    return IoOutcome::gone;
}

bool Connection::has_hung_up() {
    pollfd peer{stream_.next_layer().native_handle(), POLLRDHUP, 0};
    return ::poll(&peer, 1, 0) == 1 && (peer.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

asio::awaitable<IoOutcome> Connection::handshake() {
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await stream_.async_handshake(asio::ssl::stream_base::server, token);
    is_tls_ = !error;
    next_ticket_at_ = Clock::now() + ticket_renewal;
    co_return outcome_of(error);
}

asio::awaitable<IoOutcome> Connection::connect(asio::ip::tcp::resolver::results_type endpoints) {
    error_code error;
    auto connected = asio::redirect_error(asio::use_awaitable, error);
    co_await asio::async_connect(stream_.next_layer(), endpoints, connected);
    if (!error) {
        error_code ignored;
        stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
        auto shaken = asio::redirect_error(asio::use_awaitable, error);
        co_await stream_.async_handshake(asio::ssl::stream_base::client, shaken);
    }
    is_tls_ = !error;
    co_return outcome_of(error);
}

std::string_view Connection::input() const {
    const auto data = input_.cdata();
    return {static_cast<const char*>(data.data()), data.size()};
}

asio::awaitable<IoOutcome> Connection::read_more() {
    if (is_gone_) co_return IoOutcome::gone;
    if (is_expired_) co_return IoOutcome::timed_out;
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    const auto space = input_.prepare(read_bytes);
    const std::size_t count = co_await stream_.async_read_some(space, token);
    input_.commit(count);
    co_return outcome_of(error);
}

void Connection::keep_resumable() {
    const Clock::time_point now = Clock::now();
    if (now < next_ticket_at_) return;
    next_ticket_at_ = now + ticket_renewal;
    SSL_new_session_ticket(stream_.native_handle());  // TLS 1.2 has none, and needs none
}

asio::awaitable<IoOutcome> Connection::write(std::string_view bytes) {
    IoOutcome outcome = is_gone_ ? IoOutcome::gone : IoOutcome::done;
    while (!bytes.empty() && outcome == IoOutcome::done) {
        set_deadline(limits_.write_timeout_ms);
        error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        const auto slice = asio::buffer(bytes.substr(0, write_slice_bytes));
        co_await asio::async_write(stream_, slice, token);
        outcome = outcome_of(error);
        bytes.remove_prefix(slice.size());
    }
    clear_deadline();
    // A reply that was cut in the middle leaves nothing that could follow it.
    if (outcome == IoOutcome::timed_out) cut();
    co_return outcome;
}

asio::awaitable<void> Connection::wait(std::int64_t time_ms) {
    if (!is_signalled_) {
        if (time_ms < 0)
            signal_timer_.expires_at(Clock::time_point::max());
        else
            signal_timer_.expires_after(std::chrono::milliseconds(time_ms));
        error_code ignored;
        auto token = asio::redirect_error(asio::use_awaitable, ignored);
        co_await signal_timer_.async_wait(token);
    }
    is_signalled_ = false;
}

void Connection::signal() {
    is_signalled_ = true;
    signal_timer_.cancel();
}

void Connection::wake() {
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->signal(); });
}

void Connection::watch_for_disconnect() {
    is_watching_ = true;
    is_watch_read_pending_ = true;
    watch_buffer_.resize(1024);
    stream_.async_read_some(asio::buffer(watch_buffer_),
                            [self = shared_from_this()](const error_code& error, std::size_t bytes) {
                                self->on_watched_read(error, bytes);
                            });
}

void Connection::on_watched_read(const error_code& error, std::size_t bytes) {
    is_watch_read_pending_ = false;
    watched_bytes_ += bytes;
    if (!is_watching_) return signal();
    if (!error && watched_bytes_ <= watched_bytes_max) return watch_for_disconnect();
    is_gone_ = true;
    signal();
}

asio::awaitable<void> Connection::stop_watching() {
    is_watching_ = false;
    while (is_watch_read_pending_) {
        error_code ignored;
        stream_.next_layer().cancel(ignored);
        co_await wait(cancel_again_ms);
    }
}

void Connection::begin_receive() {
    if (is_receiving_) return;
    is_receiving_ = true;
    stream_.async_read_some(input_.prepare(read_bytes),
                            [self = shared_from_this()](const error_code& error, std::size_t bytes) {
                                self->input_.commit(bytes);
                                self->is_receiving_ = false;
                                self->on_transfer(error, false);
                            });
}

void Connection::begin_send(std::string bytes) {
    is_sending_ = true;
    outgoing_ = std::move(bytes);
    asio::async_write(stream_, asio::buffer(outgoing_),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                          self->is_sending_ = false;
                          self->on_transfer(error, true);
                      });
}

void Connection::on_transfer(const error_code& error, bool was_sending) {
    // A read that was given up on purpose leaves the connection whole; half a record sent does not.
    const bool is_given_up =
        is_stopping_transfers_ && !was_sending && error == asio::error::operation_aborted;
    if (error && !is_given_up) is_gone_ = true;
    signal();
}

asio::awaitable<void> Connection::stop_transfers() {
    is_stopping_transfers_ = true;
    while (is_receiving_ || is_sending_) {
        error_code ignored;
        stream_.next_layer().cancel(ignored);
        co_await wait(cancel_again_ms);
    }
    is_stopping_transfers_ = false;
}

asio::awaitable<void> Connection::close_lingering() {
    if (is_cut_) co_return;
    set_deadline(limits_.linger_timeout_ms);
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    if (is_tls_ && !is_gone_) co_await stream_.async_shutdown(token);
    error_code shut;
    stream_.next_layer().shutdown(asio::ip::tcp::socket::shutdown_send, shut);
    if (!shut) co_await drain_socket();
    cut();
}

asio::awaitable<void> Connection::drain_socket() {
    std::string scratch(read_bytes, '\0');
    std::size_t drained = 0;
    error_code error;
    while (!error && !is_expired_ && drained < limits_.linger_bytes_max) {
        auto token = asio::redirect_error(asio::use_awaitable, error);
        const auto space = asio::buffer(scratch);
        drained += co_await stream_.next_layer().async_read_some(space, token);
    }
}

void Connection::cut() {
    is_cut_ = is_gone_ = true;
    clear_deadline();
    armed_for_ = Clock::time_point::max();
    deadline_timer_.cancel();
    error_code ignored;
    stream_.next_layer().close(ignored);
    signal();
}

}  // namespace fallow::http
