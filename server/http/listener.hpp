// Accepts TCP connections until it is closed. What becomes of them is the caller's affair.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>

namespace fallow::http {

class Listener : public std::enable_shared_from_this<Listener> {
  public:
    struct Callbacks {
        std::function<void(boost::asio::ip::tcp::socket)> on_connection;
        std::function<void(std::string_view)> on_error;
    };

    /// Binds and listens; throws std::system_error when the address cannot be had. With `has_strands` each
    /// socket gets a strand of its own as its executor.
    Listener(boost::asio::io_context& io, const std::string& address, std::uint16_t port, bool has_strands);

    [[nodiscard]] std::uint16_t port() const { return port_; }
    void start(Callbacks callbacks);
    /// Once, when it is started, from any thread but those of `io`, of which one must run: returns when the
    /// last connection that the system had already established was handed on. One that comes after that is
    /// refused.
    void close();

  private:
    boost::asio::awaitable<void> accept_all();
    boost::asio::awaitable<void> pause();
    void accept_waiting(int count_max);
    [[nodiscard]] boost::asio::any_io_executor make_executor();

    boost::asio::io_context& io_;
    boost::asio::strand<boost::asio::io_context::executor_type> strand_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer pause_timer_;
    Callbacks callbacks_;
    std::promise<void> ended_;  ///< the accepting
    std::uint16_t port_ = 0;
    bool has_strands_;
};

}  // namespace fallow::http
