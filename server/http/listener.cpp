#include "http/listener.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <future>
#include <system_error>

namespace fallow::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds pause_after_error{50};
/// Before those that were accepted earlier have their turn.
constexpr int accepted_at_once_max = 256;

void require(const error_code& error, const std::string& address, std::uint16_t port) {
    if (error) throw std::system_error(error, fmt::format("cannot listen on {} port {}", address, port));
}

}  // namespace

Listener::Listener(asio::io_context& io, const std::string& address, std::uint16_t port, bool has_strands)
    : io_(io),
      strand_(asio::make_strand(io)),
      acceptor_(strand_),
      pause_timer_(strand_),
      has_strands_(has_strands) {
    error_code error;
    const asio::ip::address parsed = asio::ip::make_address(address, error);
    require(error, address, port);
    const tcp::endpoint endpoint(parsed, port);
    acceptor_.open(endpoint.protocol(), error);
    require(error, address, port);
    acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    require(error, address, port);
    acceptor_.bind(endpoint, error);
    require(error, address, port);
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    require(error, address, port);
    port_ = acceptor_.local_endpoint().port();
}

void Listener::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    const auto on_end = [self = shared_from_this()](std::exception_ptr escaped) {
        if (escaped) self->callbacks_.on_error("An exception ended the accepting of connections.");
        self->ended_.set_value();
    };
    asio::co_spawn(strand_, accept_all(), on_end);
}

void Listener::close() {
    std::promise<void> closed;
    asio::post(strand_, [this, &closed] {
        // To their peers these are connected: closing the acceptor would reset them.
        accept_waiting(asio::socket_base::max_listen_connections);
        error_code ignored;
        acceptor_.close(ignored);
        pause_timer_.cancel();
        closed.set_value();
    });
    closed.get_future().wait();
    ended_.get_future().wait();  // one that was accepted just before is handed over
}

/// Those that the system has connected. Its queue is first in, first out, with no room for all agents, and
/// one accepted in each turn of a busy thread would leave them in it until they have given up.
void Listener::accept_waiting(int count_max) {
    error_code error;
    acceptor_.non_blocking(true, error);
    for (int i = 0; i < count_max && !error; ++i) {
        tcp::socket socket(make_executor());
        acceptor_.accept(socket, error);
        if (!error) callbacks_.on_connection(std::move(socket));
    }
}

asio::any_io_executor Listener::make_executor() {
    if (has_strands_) return asio::make_strand(io_);
    return io_.get_executor();
}

asio::awaitable<void> Listener::accept_all() {
    while (acceptor_.is_open()) {
        tcp::socket socket(make_executor());
        error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        co_await acceptor_.async_accept(socket, token);
        if (!error) {
            callbacks_.on_connection(std::move(socket));
            accept_waiting(accepted_at_once_max);
        } else if (acceptor_.is_open() && error != asio::error::connection_aborted) {
            // Out of file descriptors, most likely: trying again at once would only burn the processor.
            callbacks_.on_error(fmt::format("A connection could not be accepted: {}", error.message()));
            co_await pause();
        }
    }
}

asio::awaitable<void> Listener::pause() {
    pause_timer_.expires_after(pause_after_error);
    error_code ignored;
    auto token = asio::redirect_error(asio::use_awaitable, ignored);
    co_await pause_timer_.async_wait(token);
}

}  // namespace fallow::http
