// One connection's life: handshake, then request after request in order, then a lingering close.
#pragma once

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "http/connection.hpp"
#include "http/guest_link.hpp"
#include "http/handshake_gate.hpp"
#include "http/head_parser.hpp"
#include "http/mailbox.hpp"
#include "http/server.hpp"
#include "http/service.hpp"

namespace fallow::http {

/// What the sessions of one server have in common. It outlives them.
struct SessionContext {
    const ServerConfig& config;
    Service& service;
    const std::atomic<bool>& is_draining;
};

class Session : public std::enable_shared_from_this<Session> {
  public:
    /// A session over the cap answers its first request with 503 and closes.
    Session(std::shared_ptr<Connection> connection, SessionContext context, bool is_over_cap);

    /// `ended` is called on the connection's executor when the session is over. The place is given back
    /// with the handshake's end.
    void start(HandshakeGate::Place place, std::function<void()> ended);
    /// From any thread: closes an idle connection unless a request comes soon, ends a stream, lets a
    /// request in flight finish.
    void drain();
    /// From any thread: ends everything now.
    void cut();

  private:
    using ReplyMailbox = Mailbox<std::optional<Reply>>;
    using StreamMailbox = Mailbox<std::optional<std::string>>;
    using Clock = std::chrono::steady_clock;

    // What is kept of the exchange under way. Coroutines take no arguments and share these members instead,
    // because g++ 12 destroys some temporaries of a co_await expression twice.
    struct Exchange {
        RequestHead head;
        Request request;
        Reply reply;
        AccessRecord record;
        Clock::time_point head_complete;
        BodyLimit limit;
        std::size_t body_bytes = 0;  ///< that have come
        bool keeps_alive = true;
        bool is_stream_cancelled = false;
    };

    boost::asio::awaitable<void> run();
    boost::asio::awaitable<bool> await_first_byte();
    /// True when the connection can take another request.
    boost::asio::awaitable<bool> exchange();
    boost::asio::awaitable<std::optional<Error>> receive_head();
    boost::asio::awaitable<std::optional<Error>> receive_body();
    boost::asio::awaitable<std::optional<Error>> receive_sized_body();
    boost::asio::awaitable<std::optional<Error>> receive_chunked_body();
    boost::asio::awaitable<std::optional<Error>> read_body_bytes();
    boost::asio::awaitable<void> ask_service();
    boost::asio::awaitable<bool> send_reply();
    boost::asio::awaitable<bool> send_plain_reply();
    boost::asio::awaitable<bool> send_stream();
    boost::asio::awaitable<bool> send_tunnel();
    boost::asio::awaitable<bool> send_relayed();
    boost::asio::awaitable<bool> pump_stream();
    boost::asio::awaitable<bool> await_stream_item();

    void begin_exchange();
    void make_request();
    [[nodiscard]] std::optional<Error> ask_for_limit();
    [[nodiscard]] bool skip_buffered_body();
    void leave_relayed_body();
    void start_handling();
    void refuse_exchange(const Error& error);
    void write_head_of_reply();
    void finish_exchange();

    void request_stream_item();
    void cancel_stream();
    void abandon() noexcept;
    void report_internal(std::string_view message) const;

    const std::shared_ptr<Connection> connection_;
    const SessionContext context_;
    const bool is_over_cap_;
    HandshakeGate::Place handshake_place_;
    IdMint request_ids_;
    std::optional<PeerCertificate> certificate_;
    Exchange exchange_;
    std::string out_;
    std::shared_ptr<ReplyMailbox> answer_;
    std::shared_ptr<StreamMailbox> stream_item_;
    std::shared_ptr<GuestLink> guest_;  ///< between two requests
    bool is_idle_ = true;
};

}  // namespace fallow::http
