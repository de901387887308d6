// One TLS connection with deadlines: bytes in, bytes out, waiting, closing. It knows nothing of HTTP.
//
// Everything runs on the socket's executor (a strand when the server has several threads), wake() excepted.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/server.hpp"
#include "http/tls_stream.hpp"

namespace fallow::http {

enum class IoOutcome {
    done,
    timed_out,  ///< the deadline passed; the connection can still be written to
    gone,       ///< the other side has gone, broke TLS, or the connection was cut
};

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context& tls,
               const ServerLimits& limits);

    [[nodiscard]] boost::asio::any_io_executor executor() { return stream_.get_executor(); }
    [[nodiscard]] SSL* native_tls() { return stream_.native_handle(); }
    [[nodiscard]] const std::string& remote_address() const { return remote_address_; }
    /// Set once the other side has gone or the connection was cut: nothing can be read or written any more.
    [[nodiscard]] bool is_gone() const { return is_gone_; }

    /// Bounds the reads that follow, until the next call. write() sets and clears a deadline of its own.
    void set_deadline(std::int64_t from_now_ms);
    void clear_deadline();

    /// Whether the other side has closed already, looked at without reading.
    [[nodiscard]] bool has_hung_up();
    boost::asio::awaitable<IoOutcome> handshake();
    /// The other way round: connects to the first endpoint that answers, and shakes hands as the client.
    boost::asio::awaitable<IoOutcome> connect(boost::asio::ip::tcp::resolver::results_type endpoints);

    /// What has been received and not yet consumed.
    [[nodiscard]] std::string_view input() const;
    void consume(std::size_t bytes) { input_.consume(bytes); }
    /// Receives at least one more byte of input.
    boost::asio::awaitable<IoOutcome> read_more();

    /// Gives the other side a new session ticket when its last one is about to grow old: it could come back
    /// hours after its handshake. The ticket goes out with the next write.
    void keep_resumable();

    /// Sends all of `bytes`, which have to stay where they are. Each 64 KiB has reply_write_timeout_ms.
    boost::asio::awaitable<IoOutcome> write(std::string_view bytes);

    /// Waits for wake(), for the other side to go (when watched) or for the time, whichever is first; it
    /// may also return early for a wake() that came before. A negative time is none.
    boost::asio::awaitable<void> wait(std::int64_t time_ms);
    /// From any thread, as long as somebody holds the connection.
    void wake();

    /// While a reply is streamed: reads, so that a disconnect is noticed, and drops what arrives.
    void watch_for_disconnect();
    boost::asio::awaitable<void> stop_watching();

    /// For a tunnel: one transfer each way at once, without a deadline. Each end of one is told by wait().
    void begin_receive();
    void begin_send(std::string bytes);
    [[nodiscard]] bool is_sending() const { return is_sending_; }
    /// Waits until none is under way.
    boost::asio::awaitable<void> stop_transfers();

    /// Says goodbye in TLS and TCP, then reads on within bounds, because closing with unread input would
    /// reset the connection and could take the last reply with it.
    boost::asio::awaitable<void> close_lingering();
    /// Ends every operation at once.
    void cut();

  private:
    using Clock = std::chrono::steady_clock;

    void arm_deadline(Clock::time_point when);
    void on_deadline_timer();
    void signal();
    void on_transfer(const boost::system::error_code& error, bool was_sending);
    void on_watched_read(const boost::system::error_code& error, std::size_t bytes);
    [[nodiscard]] IoOutcome outcome_of(const boost::system::error_code& error);
    boost::asio::awaitable<void> drain_socket();

    const ServerLimits& limits_;
    TlsStream stream_;
    boost::asio::steady_timer deadline_timer_;
    boost::asio::steady_timer signal_timer_;
    boost::beast::flat_buffer input_;
    std::string watch_buffer_;
    std::string outgoing_;
    std::string remote_address_;
    Clock::time_point deadline_ = Clock::time_point::max();
    Clock::time_point armed_for_ = Clock::time_point::max();
    Clock::time_point next_ticket_at_;
    std::size_t watched_bytes_ = 0;
    bool is_tls_ = false;
    bool is_expired_ = false;
    bool is_gone_ = false;
    bool is_cut_ = false;
    bool is_signalled_ = false;
    bool is_watching_ = false;
    bool is_watch_read_pending_ = false;
    bool is_receiving_ = false;
    bool is_sending_ = false;
    bool is_stopping_transfers_ = false;
};

}  // namespace fallow::http
